"""Inherited streams: threads that move bytes between a process in the sandbox and the caller's own descriptors.

A terminal that was stopped, a full pipe and a file on a slow disk all block whoever writes to them, and files
cannot be polled. So each stream has a thread of its own, and the event loop never waits for any of them. The
threads are daemons: one that hangs on the caller's terminal does not keep the program from ending.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import select
import socket
import threading

from firkin.host_side.whole_writes import write_whole

_CHUNK_BYTES = 65536
_STALLED_SECONDS = 10.0
_LOG = logging.getLogger("firkin.streams")


class _Signals:
    """Tells the event loop what a relay's thread has reached."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []
        self._moved = 0
        self._is_over = False

    @property
    def moved_bytes(self) -> int:
        """How many were moved so far."""
        return self._moved

    def advance(self, byte_count: int) -> None:
        """That many bytes more were moved; called by the thread."""
        with self._lock:
            self._moved += byte_count
            self._release()

    def end(self) -> None:
        """No more will be moved; called by the thread."""
        with self._lock:
            self._is_over = True
            self._release()

    def reached(self, byte_count: int | None) -> asyncio.Future[None]:
        """Done once `byte_count` bytes were moved in all, or no more will be; None waits for the latter."""
        future: asyncio.Future[None] = self._loop.create_future()
        with self._lock:
            self._waiters.append((byte_count if byte_count is not None else 1 << 63, future))
            self._release()
        return future

    def _release(self) -> None:
        ready = [future for count, future in self._waiters if self._is_over or self._moved >= count]
        if ready:
            self._waiters = [waiter for waiter in self._waiters if waiter[1] not in ready]
            with contextlib.suppress(RuntimeError):  # the loop was closed: nobody waits any more
                self._loop.call_soon_threadsafe(_settle, ready)


def _settle(futures: list[asyncio.Future[None]]) -> None:
    for future in futures:
        if not future.done():
            future.set_result(None)


class OutputRelay:
    """Writes what a process wrote to a descriptor of the caller, all of it, in order."""

    def __init__(self, connection: socket.socket, host_fd: int) -> None:
        """Own `connection`; `host_fd` stays the caller's."""
        connection.setblocking(True)
        self._socket = connection
        self._host_fd = host_fd
        self._signals = _Signals()
        threading.Thread(target=self._run, name=f"firkin-output-{host_fd}", daemon=True).start()

    @property
    def moved_bytes(self) -> int:
        """How many bytes are with the caller."""
        return self._signals.moved_bytes

    async def drained(self, byte_count: int | None, hurry: asyncio.Future[None] | None = None) -> None:
        """Wait until `byte_count` bytes are with the caller, or the stream has ended.

        Once `hurry` is done, a caller whose descriptor takes nothing for 10 s is waited for no longer.
        """
        reached = self._signals.reached(byte_count)
        if hurry is None:
            return await reached
        await asyncio.wait({reached, hurry}, return_when=asyncio.FIRST_COMPLETED)
        moved_bytes = -1
        while not reached.done() and self.moved_bytes > moved_bytes:
            moved_bytes = self.moved_bytes
            await asyncio.wait({reached}, timeout=_STALLED_SECONDS)
        if not reached.done():
            _LOG.warning("output is lost: descriptor %d takes no more", self._host_fd)

    def stop(self) -> None:
        """Take no more from the sandbox; what has arrived is still written. Twice is fine."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RD)

    def _run(self) -> None:
        try:
            while data := self._socket.recv(_CHUNK_BYTES):
                write_whole(self._host_fd, data)
                self._signals.advance(len(data))
        except ConnectionError:
            pass  # the caller's reader went away: closing tells the process so, as a pipe would
        except OSError as error:
            # The process may have ended well already, so that nothing else would tell.
            _LOG.warning("output is lost: descriptor %d cannot be written: %s", self._host_fd, error.strerror)
        finally:
            self._socket.close()
            self._signals.end()


class InputRelay:
    """Hands what arrives on a descriptor of the caller to a process, and takes nothing that it cannot hand on."""

    def __init__(self, connection: socket.socket, host_fd: int) -> None:
        """Own `connection`; `host_fd` stays the caller's."""
        connection.setblocking(False)
        self._socket = connection
        self._host_fd = host_fd
        self._wake_fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._lock = threading.Lock()
        self._is_over = False
        self._signals = _Signals()
        threading.Thread(target=self._run, name=f"firkin-input-{host_fd}", daemon=True).start()

    async def stopped(self) -> None:
        """Wait until the relay reads no more."""
        await self._signals.reached(None)

    def stop(self) -> None:
        """Read no more from the caller; twice is fine."""
        with self._lock:
            if not self._is_over:
                os.eventfd_write(self._wake_fd, 1)

    def _run(self) -> None:
        try:
            while self._may_read() and (data := os.read(self._host_fd, _CHUNK_BYTES)):
                self._send_all(data)
            # Closing is the end of input. What was sent before stays readable to the other side.
        except OSError:
            pass  # the process closed its input, or the caller's descriptor cannot be read (any more)
        finally:
            with self._lock:
                self._is_over = True
                os.close(self._wake_fd)
            self._socket.close()
            self._signals.end()

    def _may_read(self) -> bool:
        """Wait for input that somebody will take; False when the relay is to end.

        The process's end comes first: input that it did not ask for stays with the caller.
        """
        poller = select.poll()
        poller.register(self._wake_fd, select.POLLIN)
        poller.register(self._socket, select.POLLOUT)
        if not self._is_taken(poller):
            return False
        poller.modify(self._socket, select.POLLRDHUP)
        poller.register(self._host_fd, select.POLLIN)
        return self._is_taken(poller)

    def _is_taken(self, poller: select.poll) -> bool:
        events = dict(poller.poll())
        is_gone = events.get(self._socket.fileno(), 0) & (select.POLLHUP | select.POLLERR | select.POLLRDHUP)
        return self._wake_fd not in events and not is_gone

    def _send_all(self, data: bytes) -> None:
        left = memoryview(data)
        poller = select.poll()
        poller.register(self._wake_fd, select.POLLIN)
        poller.register(self._socket, select.POLLOUT)
        while left:
            if not self._is_taken(poller):
                raise BrokenPipeError
            with contextlib.suppress(BlockingIOError):
                left = left[self._socket.send(left, socket.MSG_NOSIGNAL) :]
