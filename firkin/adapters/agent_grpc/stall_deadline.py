"""A deadline for work whose size nobody knows."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self


class StallDeadline:
    """Ends its `async with` body with TimeoutError once nothing has progressed for `seconds`."""

    def __init__(self, seconds: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._seconds = seconds
        self._timeout = asyncio.timeout(seconds)
        self._is_running = False

    def progressed(self) -> None:
        """Put the deadline off; without effect when the body is over."""
        if self._is_running and not self._timeout.expired():
            self._timeout.reschedule(self._loop.time() + self._seconds)

    def progressed_in_thread(self) -> None:
        """The same, for another thread than the loop's."""
        self._loop.call_soon_threadsafe(self.progressed)

    async def __aenter__(self) -> Self:
        await self._timeout.__aenter__()
        self._is_running = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_running = False
        await self._timeout.__aexit__(kind, error, trace)
