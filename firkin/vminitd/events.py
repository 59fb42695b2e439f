"""Telling what happens in the sandbox to whoever listens."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

from firkin.domain.events import Event, EventBuffer, SandboxEvent


class Listener:
    """One who listens, with a buffer of its own, so that a slow one disturbs nobody."""

    def __init__(self) -> None:
        self._buffer = EventBuffer()
        self._arrived = asyncio.Event()

    def put(self, event: SandboxEvent) -> None:
        """Tell it."""
        self._buffer.put(event)
        self._arrived.set()

    async def next(self, timeout_seconds: float) -> Event | None:
        """The next event; None when nothing happened for that long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                await self._arrived.wait()
        event = self._buffer.take()
        if event is None:
            self._arrived.clear()
        return event


class EventHub:
    """Tells every listener; costs nothing while there is none."""

    def __init__(self) -> None:
        self._listeners: set[Listener] = set()

    def publish(self, event: SandboxEvent) -> None:
        """Tell all who listen now."""
        for listener in self._listeners:
            listener.put(event)

    @contextlib.contextmanager
    def listening(self) -> Iterator[Listener]:
        """Listen for the block."""
        listener = Listener()
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)
