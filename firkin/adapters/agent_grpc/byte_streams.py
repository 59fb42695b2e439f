"""The host's ends of a process's piped streams.

Nothing is buffered here: what the process wrote waits in the socket (a few hundred KiB), then in the sandbox,
and then the process waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket


class _Endpoint:
    """A non-blocking socket, with one task at most waiting for its readiness."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._loop = asyncio.get_running_loop()
        self._readiness: asyncio.Future[None] | None = None

    @property
    def is_closed(self) -> bool:
        """True once the descriptor is given back."""
        return self._socket.fileno() < 0

    def _begin_waiting(self) -> asyncio.Future[None]:
        if self._readiness is not None:
            raise RuntimeError("another task is already using this stream")
        self._readiness = self._loop.create_future()
        return self._readiness

    def _wake(self) -> None:
        if self._readiness is not None and not self._readiness.done():
            self._readiness.set_result(None)

    def close(self) -> None:
        """Give the descriptor back, and wake whoever waits. Twice is fine."""
        if not self.is_closed:
            if self._readiness is not None:
                self._loop.remove_reader(self._socket)
                self._loop.remove_writer(self._socket)
            self._socket.close()
        self._wake()

    def __del__(self) -> None:
        # A stream that its user forgot must not hold a descriptor until the sandbox ends.
        self._socket.close()


class SocketSource(_Endpoint):
    """Reads what the process wrote; gives the descriptor back at the end."""

    async def read(self, max_bytes: int = 65536) -> bytes:
        """Return at least one byte, or b"" once the process closed its end and everything was read."""
        while not self.is_closed:
            try:
                data = self._socket.recv(max_bytes)
            except (BlockingIOError, InterruptedError):
                await self._readable()
                continue
            except OSError:
                data = b""  # the sandbox is gone, and everything that it had sent was read
            if not data:
                self.close()
            return data
        return b""

    async def _readable(self) -> None:
        readiness = self._begin_waiting()
        self._loop.add_reader(self._socket, self._wake)
        try:
            await readiness
        finally:
            self._readiness = None
            if not self.is_closed:
                self._loop.remove_reader(self._socket)

    async def aclose(self) -> None:
        """Stop reading; twice is fine. The process gets a broken pipe when it writes on."""
        self.close()


class SocketSink(_Endpoint):
    """Writes what the process reads."""

    async def write(self, data: bytes) -> None:
        """Hand all of `data` on, waiting while the process does not read.

        Raises:
            BrokenPipeError: the process closed its end, or this one was closed.
        """
        left = memoryview(data)
        while left:
            if self.is_closed:
                raise BrokenPipeError("the stream is closed")
            try:
                left = left[self._socket.send(left, socket.MSG_NOSIGNAL) :]
            except (BlockingIOError, InterruptedError):
                await self._writable()
            except OSError as error:
                self.close()
                raise BrokenPipeError("the process closed its standard input") from error

    async def _writable(self) -> None:
        readiness = self._begin_waiting()
        self._loop.add_writer(self._socket, self._wake)
        try:
            await readiness
        finally:
            self._readiness = None
            if not self.is_closed:
                self._loop.remove_writer(self._socket)

    async def aclose(self) -> None:
        """End of input, after everything written; twice is fine."""
        if not self.is_closed:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_WR)
        self.close()
