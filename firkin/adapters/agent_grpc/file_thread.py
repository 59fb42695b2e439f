"""Work on files of the host, in a thread that nobody has to wait for: a disk that hangs holds up nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

_LEAVING_SECONDS = 5.0
"""Far beyond what a thread takes to end that no disk holds."""

R = TypeVar("R")
T = TypeVar("T")


class FileThread(Generic[T]):
    """Calls `work` in a thread of its own, at once.

    Those of an executor are few, and would all be taken by files that wait for each other; and an interpreter does not
    end before they have. What `work` opens, it closes itself.
    """

    def __init__(self, work: Callable[[], T], give_up: Callable[[], None], name: str) -> None:
        """`give_up` is called by the loop, perhaps twice, and has `work` end soon unless the disk hangs."""
        self._work = work
        self._give_up = give_up
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[T] = self._loop.create_future()
        # Whoever waits for it sees its error; asyncio must not report it when nobody does.
        self._ended.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        threading.Thread(target=self._run, name=name, daemon=True).start()

    async def result(self) -> T:
        """What `work` returns or raises; a cancellation passes once it has ended, or hangs."""
        try:
            return await asyncio.shield(self._ended)
        except asyncio.CancelledError:
            await self._ended_or_hung()
            raise

    async def given_up(self) -> T | None:
        """Have it end now: what it returns by then; None while the disk hangs, after a moment."""
        await self._ended_or_hung()
        return self._ended.result() if self._ended.done() else None

    async def _ended_or_hung(self) -> None:
        self._give_up()
        await asyncio.wait([self._ended], timeout=_LEAVING_SECONDS)

    def _run(self) -> None:
        try:
            result = self._work()
        except BaseException as error:
            self._tell(self._ended.set_exception, error)
        else:
            self._tell(self._ended.set_result, result)

    def _tell(self, settle: Callable[[R], None], outcome: R) -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed: nobody waits any more
            self._loop.call_soon_threadsafe(settle, outcome)


def connection_thread(work: Callable[[socket.socket], T], connection: socket.socket) -> FileThread[T]:
    """A thread that sends files over a connection, which is broken off when it is to give up.

    It has a descriptor of its own, which it keeps for as long as its disk hangs.

    Raises:
        OSError: there are no more descriptors.
    """
    connection.setblocking(True)
    own = connection.dup()

    def with_its_own() -> T:
        with own:
            return work(own)

    try:
        return FileThread(with_its_own, lambda: _broken_off(connection), "firkin-layer")
    except BaseException:
        own.close()
        raise


def _broken_off(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
