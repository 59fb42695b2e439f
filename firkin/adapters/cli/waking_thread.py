"""A thread that waits for standard input or output, and that a cancellation wakes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
from collections.abc import Callable

from firkin.application.task_scope import TaskScope, finished, joined

# What a pipe takes without waiting once it takes anything (pipe(7), PIPE_BUF).
_PIECE_BYTES = 4096


class _Woken(Exception):
    """Nobody waits for the work any more."""


class WakingThread:
    """Does one piece of work, which reads and writes through this object. Only its thread calls `read` and `write`."""

    def __init__(self) -> None:
        self._wake_fd = -1

    async def done(self, work: Callable[[], None], name: str) -> None:
        """Do `work` to its end; whoever is cancelled meanwhile goes on once the thread has ended, which is at once."""
        self._wake_fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        task = TaskScope().start(asyncio.to_thread(work), name)
        try:
            await joined(task)
        except asyncio.CancelledError:
            os.eventfd_write(self._wake_fd, 1)
            with contextlib.suppress(Exception):
                await finished(task)
            raise
        finally:
            os.close(self._wake_fd)

    def read(self, descriptor: int, most_bytes: int) -> bytes:
        """The next bytes, at most so many; none at the end."""
        poller = self._poller(descriptor, select.POLLIN)
        while True:
            self._wait(poller)
            with contextlib.suppress(BlockingIOError):
                return os.read(descriptor, most_bytes)

    def write(self, descriptor: int, data: bytes) -> None:
        """Write everything."""
        poller = self._poller(descriptor, select.POLLOUT)
        left = memoryview(data)
        while left:
            self._wait(poller)
            with contextlib.suppress(BlockingIOError):
                left = left[os.write(descriptor, left[:_PIECE_BYTES]) :]

    def _poller(self, descriptor: int, event: int) -> select.poll:
        poller = select.poll()
        poller.register(descriptor, event)
        poller.register(self._wake_fd, select.POLLIN)
        return poller

    def _wait(self, poller: select.poll) -> None:
        if self._wake_fd in dict(poller.poll()):
            raise _Woken
