"""Keeping what a container writes, for any number of readers, none of which can hold it up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence

from firkin.domain.output_log import LogEntry, OutputLog
from firkin.ports.log_keeper import KeptLog

from .output_streams import OutputStream
from .task_scope import TaskScope


class LogRecorder:
    """The log of one container over all of its starts, in the memory of the process that runs the pod.

    `kept`, when there is one, gets everything as well: it is what outlives that process.
    """

    def __init__(self, max_bytes: int, kept: KeptLog | None = None) -> None:
        self._log = OutputLog(max_bytes)
        self._kept = kept
        self._open_streams = 0
        self._changed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def start(self, name: str, stream: OutputStream, scope: TaskScope) -> asyncio.Task[None]:
        """Record a stream until it ends."""
        self._open_streams += 1
        task = scope.start(self._record(name, stream), f"log {name}")
        task.add_done_callback(self._closed)
        return task

    async def _record(self, name: str, stream: OutputStream) -> None:
        try:
            async for data in stream:
                now = time.time()
                self._log.append(name, data, now)
                if self._kept is not None:
                    self._kept.append(name, data, now)
                self._wake()
        finally:
            await stream.aclose()

    def _closed(self, _: asyncio.Task[None]) -> None:
        self._open_streams -= 1
        if self._kept is not None and not self._open_streams:
            self._kept.close()
        self._wake()

    def _wake(self) -> None:
        self._changed.set_result(None)
        self._changed = self._changed.get_loop().create_future()

    def kept(self, unix_seconds: float | None, tail: int | None) -> Sequence[LogEntry]:
        """What arrived at that time or later, and of that so many last lines; all that is kept for None."""
        return self._log.entries(unix_seconds, tail)

    def followed(self, finished: asyncio.Future[None] | None) -> AsyncIterator[LogEntry]:
        """What comes from now on, until the streams have ended and nothing will start the container again.

        `finished` is done when that is known; None when nothing but its user ever does.
        """
        return self._followed(self._log.end, finished)

    async def _followed(self, position: int, finished: asyncio.Future[None] | None) -> AsyncIterator[LogEntry]:
        while True:
            changed = self._changed
            is_over = not self._open_streams and (finished is None or finished.done())
            entries, position = self._log.since(position), self._log.end
            for entry in entries:
                yield entry
            if is_over:
                return
            waited_for = {changed} if finished is None or finished.done() else {changed, finished}
            await asyncio.wait(waited_for, return_when=asyncio.FIRST_COMPLETED)
