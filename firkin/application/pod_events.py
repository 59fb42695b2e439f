"""Everything that happens in a pod, in one stream: the host's own view of its phases, and what the agent tells."""

from __future__ import annotations

import asyncio
import time
from types import TracebackType
from typing import Self

from firkin.domain.errors import FirkinError
from firkin.domain.events import ContainerPhaseChanged, Event, EventBuffer, PodPhaseChanged, Subscribed
from firkin.domain.ids import ContainerId
from firkin.domain.lifecycle import ContainerPhase, PodPhase
from firkin.ports.agent import Agent

from .task_scope import TaskScope


class EventStream:
    """What happens from now on: an asynchronous iterator that ends with the pod.

    Entering it as a context manager, which is optional, waits until the agent's events are in it, too. A stream that
    is not read drops its oldest events, and tells so by `EventsMissed`.
    """

    def __init__(self, source: PodEvents) -> None:
        self._source = source
        self._buffer = EventBuffer()
        self._arrived = asyncio.Event()
        self._is_over = False

    def put(self, event: Event) -> None:
        """Tell it."""
        self._buffer.put(event)
        self._arrived.set()

    def end(self) -> None:
        """Nothing will come any more; what is there can still be read."""
        self._is_over = True
        self._arrived.set()

    async def __aenter__(self) -> Self:
        await self._source.agent_told()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        while True:
            event = self._buffer.take()
            if event is not None:
                return event
            if self._is_over:
                raise StopAsyncIteration
            self._arrived.clear()
            await self._arrived.wait()

    async def aclose(self) -> None:
        """Stop listening; twice is fine."""
        self._source.forget(self)
        self.end()


class PodEvents:
    """Who tells what happens in one pod; asks the agent from the first listener on."""

    def __init__(self) -> None:
        self._streams: set[EventStream] = set()
        self._is_closed = False
        self._asking: asyncio.Task[None] | None = None
        self._answered = asyncio.Event()

    def pod_phase(self, phase: PodPhase) -> None:
        """The pod's lifecycle went on."""
        self._publish(PodPhaseChanged(time.time(), phase))

    def container_phase(self, container_id: ContainerId, phase: ContainerPhase) -> None:
        """A container's lifecycle went on."""
        self._publish(ContainerPhaseChanged(time.time(), container_id, phase))

    def _publish(self, event: Event) -> None:
        for stream in self._streams:
            stream.put(event)

    def listen(self, agent: Agent, scope: TaskScope) -> EventStream:
        """A new stream, over at once when the pod is."""
        stream = EventStream(self)
        if self._is_closed:
            stream.end()
            return stream
        self._streams.add(stream)
        if self._asking is None:
            self._asking = scope.start(self._ask(agent), "listen to the agent's events")
        return stream

    async def _ask(self, agent: Agent) -> None:
        try:
            async for event in agent.events():
                if isinstance(event, Subscribed):
                    self._answered.set()
                else:
                    self._publish(event)
        except FirkinError:
            # An agent that tells no events, or not any more: the pod's own phases go on.
            return
        finally:
            self._answered.set()

    async def agent_told(self) -> None:
        """Wait until the agent's events are told, or it is known that they will not be."""
        if self._asking is not None:
            await self._answered.wait()

    def forget(self, stream: EventStream) -> None:
        """Tell this one nothing any more."""
        self._streams.discard(stream)

    def close(self) -> None:
        """The pod is over: end every stream."""
        self._is_closed = True
        self._answered.set()
        for stream in tuple(self._streams):
            stream.end()
        self._streams.clear()
