"""What happens in all pods of a runtime, in one stream, and in the log."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator
from functools import partial
from types import TracebackType
from typing import Self

from firkin.domain.events import BUFFERED_EVENTS, Event, EventsMissed, RuntimeEvent
from firkin.domain.ids import PodId

from .open_pod import OpenPod

_LOG = logging.getLogger("firkin.events")


class RuntimeEventStream:
    """What happens in a runtime's pods from now on, in the order in which it became known, until the runtime is left.

    A stream that is not read drops its oldest events, and tells so by `EventsMissed`, of no pod.
    """

    def __init__(self, source: RuntimeEvents) -> None:
        self._source = source
        self._events: deque[RuntimeEvent] = deque()
        self._missed = 0
        self._arrived = asyncio.Event()
        self._is_over = False

    def _put(self, event: RuntimeEvent) -> None:
        if len(self._events) >= BUFFERED_EVENTS:
            self._events.popleft()
            self._missed += 1
        self._events.append(event)
        self._arrived.set()

    def _take(self) -> RuntimeEvent | None:
        if self._missed:
            missed, self._missed = self._missed, 0
            return RuntimeEvent("", EventsMissed(time.time(), missed))
        return self._events.popleft() if self._events else None

    def _end(self) -> None:
        self._is_over = True
        self._arrived.set()

    async def __aenter__(self) -> Self:
        await self._source.agents_told()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def __aiter__(self) -> AsyncIterator[RuntimeEvent]:
        while (event := await self.next_event()) is not None:
            yield event

    async def next_event(self) -> RuntimeEvent | None:
        """Wait for the next event; None once the runtime is left, or the stream was closed, and all was read."""
        while (event := self._take()) is None and not self._is_over:
            self._arrived.clear()
            await self._arrived.wait()
        return event

    async def aclose(self) -> None:
        """Stop listening; twice is fine."""
        self._source.forget(self)
        self._end()


class RuntimeEvents:
    """Hears of every pod's events; agents are asked from the first listener on."""

    def __init__(self) -> None:
        self._streams: set[RuntimeEventStream] = set()
        self._pods: dict[PodId, OpenPod] = {}

    def follow(self, pod: OpenPod) -> None:
        """Hear of a pod that has just begun."""
        self._pods[pod.spec.id] = pod
        pod.events.on_event = partial(self.publish, pod.spec.id)
        if self._streams:
            pod.events.ask(pod.agent, pod.scope)

    def leave(self, pod_id: PodId) -> None:
        """Nothing will happen any more in this pod."""
        self._pods.pop(pod_id, None)

    def publish(self, pod_id: PodId, event: Event) -> None:
        """Tell everybody who listens, and the log."""
        _LOG.debug("pod %s: %s", pod_id, event, extra={"pod_id": pod_id, "event": event})
        told = RuntimeEvent(pod_id, event)
        for stream in self._streams:
            stream._put(told)

    def listen(self) -> RuntimeEventStream:
        """A new stream."""
        stream = RuntimeEventStream(self)
        self._streams.add(stream)
        for pod in self._pods.values():
            pod.events.ask(pod.agent, pod.scope)
        return stream

    async def agents_told(self) -> None:
        """Wait until the events of every agent are told, or it is known that they will not be."""
        for pod in tuple(self._pods.values()):
            await pod.events.agent_told()

    def forget(self, stream: RuntimeEventStream) -> None:
        """Tell this one nothing any more."""
        self._streams.discard(stream)

    def close(self) -> None:
        """The runtime is left: end every stream."""
        for stream in tuple(self._streams):
            stream._end()
        self._streams.clear()
