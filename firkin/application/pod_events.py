"""Everything that happens in a pod, in one stream: the host's own view of its phases, and what the agent tells."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from types import TracebackType
from typing import Self

from firkin.domain.errors import FirkinError
from firkin.domain.events import (
    ContainerPhaseChanged,
    ContainerReadinessChanged,
    ContainerStarted,
    ContainerStartFailed,
    Event,
    EventBuffer,
    ImageUnpacked,
    PodPhaseChanged,
    PodStarted,
    ProbeFailed,
    Subscribed,
)
from firkin.domain.ids import ContainerId
from firkin.domain.image import ImageBundle
from firkin.domain.lifecycle import ContainerPhase, PodPhase
from firkin.domain.process import ContainerStartupTiming
from firkin.ports.agent import Agent
from firkin.ports.agent_templates import TemplateResult

from .task_scope import TaskScope


class EventStream:
    """What happens from now on, to be iterated over until the pod ends.

    Entering it as a context manager, which is optional, waits until the agent's events are in it, too. A stream that
    is not read drops its oldest events, and tells so by `EventsMissed`.
    """

    def __init__(self, source: PodEvents) -> None:
        self._source = source
        self._buffer = EventBuffer()
        self._arrived = asyncio.Event()
        self._is_over = False

    def _put(self, event: Event) -> None:
        self._buffer.put(event)
        self._arrived.set()

    def _end(self) -> None:
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

    async def __aiter__(self) -> AsyncIterator[Event]:
        while (event := await self.next_event()) is not None:
            yield event

    async def next_event(self) -> Event | None:
        """Wait for the next event; None once the pod is over, or the stream was closed, and all was read."""
        while (event := self._buffer.take()) is None and not self._is_over:
            self._arrived.clear()
            await self._arrived.wait()
        return event

    async def aclose(self) -> None:
        """Stop listening; twice is fine."""
        self._source.forget(self)
        self._end()


class PodEvents:
    """Who tells what happens in one pod; asks the agent from the first listener on.

    Attributes:
        on_event: told of everything, before any listener is.
    """

    def __init__(self) -> None:
        self._streams: set[EventStream] = set()
        self._is_closed = False
        self.on_event: Callable[[Event], None] | None = None
        self._asking: asyncio.Task[None] | None = None
        self._answered = asyncio.Event()

    def pod_phase(self, phase: PodPhase) -> None:
        """The pod's lifecycle went on."""
        self._publish(PodPhaseChanged(time.time(), phase))

    def container_phase(self, container_id: ContainerId, phase: ContainerPhase) -> None:
        """A container's lifecycle went on."""
        self._publish(ContainerPhaseChanged(time.time(), container_id, phase))

    def container_readiness(self, container_id: ContainerId, is_ready: bool) -> None:
        """A container became ready, or is not any more."""
        self._publish(ContainerReadinessChanged(time.time(), container_id, is_ready))

    def probe_failed(self, container_id: ContainerId, probe: str, reason: str) -> None:
        """A probe failed once."""
        self._publish(ProbeFailed(time.time(), container_id, probe, reason))

    def container_started(self, container_id: ContainerId, timing: ContainerStartupTiming) -> None:
        """A container's command runs."""
        self._publish(ContainerStarted(time.time(), container_id, timing))

    def container_start_failed(self, container_id: ContainerId, error: FirkinError) -> None:
        """A container did not start."""
        how_far = (error.failed_stage, dict(error.stage_seconds))
        self._publish(ContainerStartFailed(time.time(), container_id, error.code, *how_far))

    def pod_started(self, stage_seconds: Mapping[str, float]) -> None:
        """The pod's spawn is over."""
        self._publish(PodStarted(time.time(), stage_seconds))

    def image_unpacked(self, bundle: ImageBundle, result: TemplateResult) -> None:
        """An image became a template."""
        event = ImageUnpacked(
            time.time(), bundle.reference, bundle.chain_id, result.entries, result.seconds, result.replaced
        )
        self._publish(event)

    def _publish(self, event: Event) -> None:
        if self.on_event is not None:
            self.on_event(event)
        for stream in self._streams:
            stream._put(event)

    def listen(self, agent: Agent, scope: TaskScope) -> EventStream:
        """A new stream, over at once when the pod is."""
        stream = EventStream(self)
        if self._is_closed:
            stream._end()
            return stream
        self._streams.add(stream)
        self.ask(agent, scope)
        return stream

    def ask(self, agent: Agent, scope: TaskScope) -> None:
        """Let the agent tell what happens, if it does not yet."""
        if self._asking is None and not self._is_closed:
            self._asking = scope.start(self._ask(agent), "listen to the agent's events")

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
            stream._end()
        self._streams.clear()
