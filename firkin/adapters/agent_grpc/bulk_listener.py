"""Bulk streams, the host's side: a unix socket per stream, to which the guest connects once."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import heapq
import hmac
import os
import secrets
import socket
from pathlib import Path

from firkin.domain.errors import AgentError, DeadlineExceeded, Outcome

FIRST_PORT = 0x10000000
FIRST_GUEST_PORT = 0x20000000
TOKEN_BYTES = 16

_SUN_PATH_BYTES = 108
_BACKLOG = 8


class SocketDirectory:
    """The sandbox's directory of unix sockets, by paths that always fit into a socket's address.

    sockaddr_un holds 108 bytes, the closing NUL among them; a longer path goes through the open directory.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def socket_path(self, name: str) -> str:
        """An address of the socket file `name`; valid while the directory is open."""
        plain = os.fspath(self._path / name)
        return plain if len(os.fsencode(plain)) < _SUN_PATH_BYTES else f"/proc/self/fd/{self._fd}/{name}"

    def has(self, name: str) -> bool:
        """Whether there is such a file."""
        try:
            os.stat(name, dir_fd=self._fd)
        except OSError:
            return False
        return True

    def remove(self, name: str) -> None:
        """Remove the socket file, if it is there."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._fd)

    def close(self) -> None:
        """Twice is fine."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class PortAllocator:
    """Numbers from `first` on, 0x10000000 as every host of this contract; the lowest free one comes first."""

    def __init__(self, first: int = FIRST_PORT) -> None:
        self._next = first
        self._free: list[int] = []

    def allocate(self) -> int:
        """Take a number; give it back with `release`."""
        if self._free:
            return heapq.heappop(self._free)
        port = self._next
        self._next += 1
        return port

    def release(self, port: int) -> None:
        """Let the number be used again."""
        heapq.heappush(self._free, port)


class BulkListener:
    """One stream that is about to be opened: listens until the guest has connected, or until it is closed.

    Under firkin.agent.v1 the stream's first bytes are its token. A connection that opens with anything else is
    dropped, and listening goes on. SandboxContext knows no tokens: there the first connection is the stream.
    """

    def __init__(self, directory: SocketDirectory, ports: PortAllocator, with_token: bool) -> None:
        self.port = ports.allocate()
        self.token = secrets.token_bytes(TOKEN_BYTES) if with_token else b""
        self._directory = directory
        self._ports = ports
        self._loop = asyncio.get_running_loop()
        self._arrival: asyncio.Future[socket.socket] = self._loop.create_future()
        self._unproven: dict[socket.socket, bytearray] = {}
        self._is_open = True
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            self._bind()
        except BaseException as error:
            self._listener.close()
            ports.release(self.port)
            if isinstance(error, OSError):
                reason = f"cannot listen for the guest: {error.strerror}"
                failure = AgentError("open a stream", reason, path=self._name, errno=error.errno or 0)
                raise failure.during("open a stream", outcome=Outcome.DID_NOT) from error
            raise
        self._loop.add_reader(self._listener, self._on_connection)

    @property
    def _name(self) -> str:
        return f"host-{self.port}.sock"

    def _bind(self) -> None:
        path = self._directory.socket_path(self._name)
        try:
            self._listener.bind(path)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            # The numbers of this sandbox are ours, so the file is what an earlier connection left.
            self._directory.remove(self._name)
            self._listener.bind(path)
        self._listener.listen(_BACKLOG)

    async def accepted(self, operation: str, timeout_seconds: float | None) -> socket.socket:
        """The stream's connection, which then belongs to the caller; non-blocking.

        Without a timeout the caller bounds the wait: by the call that makes the guest connect.

        Raises:
            DeadlineExceeded: the guest did not connect in time.
        """
        try:
            async with asyncio.timeout(timeout_seconds):
                connection = await asyncio.shield(self._arrival)
        except TimeoutError:
            waited = f"{operation}: the guest's connection to port {self.port}"
            late = DeadlineExceeded(waited, timeout_seconds or 0.0)
            raise late.during(operation, outcome=Outcome.MAY_HAVE) from None
        self._arrival = self._loop.create_future()
        self.close()
        return connection

    def close(self) -> None:
        """Stop listening and remove the socket file; a connection that nobody took is closed. Twice is fine."""
        self._stop_listening()
        if self._arrival.done() and not self._arrival.cancelled():
            self._arrival.result().close()
        self._arrival.cancel()

    def _stop_listening(self) -> None:
        if not self._is_open:
            return
        self._is_open = False
        self._loop.remove_reader(self._listener)
        self._listener.close()
        self._directory.remove(self._name)
        self._ports.release(self.port)
        for connection in tuple(self._unproven):
            self._drop(connection)

    def _on_connection(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return  # it was gone before it could be taken
        connection.setblocking(False)
        if not self.token:
            self._arrive(connection)
            return
        self._unproven[connection] = bytearray()
        self._loop.add_reader(connection, self._on_token, connection)
        self._on_token(connection)

    def _on_token(self, connection: socket.socket) -> None:
        received = self._unproven[connection]
        try:
            data = connection.recv(TOKEN_BYTES - len(received))
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        received += data
        if data and len(received) < TOKEN_BYTES:
            return
        if not hmac.compare_digest(bytes(received), self.token):
            self._drop(connection)
            return
        self._loop.remove_reader(connection)
        del self._unproven[connection]
        self._arrive(connection)

    def _arrive(self, connection: socket.socket) -> None:
        self._stop_listening()
        self._arrival.set_result(connection)

    def _drop(self, connection: socket.socket) -> None:
        del self._unproven[connection]
        self._loop.remove_reader(connection)
        connection.close()
