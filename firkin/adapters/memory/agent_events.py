"""Events in memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager

from firkin.domain.errors import SandboxDied
from firkin.domain.events import (
    EventBuffer,
    HostEvent,
    ProcessCreated,
    ProcessExited,
    ProcessStarted,
    SandboxEvent,
    Subscribed,
)
from firkin.domain.process import ProcessRef

from .programs import MemoryProcess
from .sandbox import MemorySandbox


class _Listener:
    """One who listens."""

    def __init__(self) -> None:
        self.buffer = EventBuffer()
        self.arrived = asyncio.Event()

    def put(self, event: SandboxEvent) -> None:
        """Tell it."""
        self.buffer.put(event)
        self.arrived.set()


class MemoryAgentEvents:
    """Tells of the processes that start and end."""

    _sandbox: MemorySandbox

    def __init__(self) -> None:
        self._listeners: set[_Listener] = set()

    def _call(self, operation: str) -> AbstractAsyncContextManager[None]:
        """One call: where faults are injected, and the sandbox's death is noticed."""
        raise TypeError("the agent that this is a part of has no calls")

    def _publish(self, event: SandboxEvent) -> None:
        for listener in self._listeners:
            listener.put(event)

    def _tell_start(self, ref: ProcessRef, process: MemoryProcess, pid: int) -> None:
        ids = (ref.container_id, ref.process_id)
        self._publish(ProcessCreated(process.started_unix_seconds, *ids))
        self._publish(ProcessStarted(process.started_unix_seconds, *ids, pid, 0.0))

        def ended(_: object) -> None:
            now = time.time()
            lifetime_seconds = process.lifetime_seconds
            self._publish(ProcessExited(now, *ids, process.exit.result(), lifetime_seconds))

        process.exit.add_done_callback(ended)

    async def events(self) -> AsyncIterator[SandboxEvent]:
        """What happens from now on, until the sandbox ends."""
        listener = _Listener()
        self._listeners.add(listener)
        try:
            async with self._call("events"):
                yield Subscribed(time.time())
            async for event in self._told(listener):
                yield event
        finally:
            self._listeners.discard(listener)

    async def _told(self, listener: _Listener) -> AsyncIterator[SandboxEvent]:
        self._sandbox.when_ended(listener.arrived.set)
        while True:
            await listener.arrived.wait()
            listener.arrived.clear()
            while (event := listener.buffer.take()) is not None:
                if not isinstance(event, HostEvent):
                    yield event
            if self._sandbox.ended is not None:
                raise SandboxDied(self._sandbox.ended.reason)
