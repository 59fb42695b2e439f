"""Streams between guest and host: the host listens on `host-<port>.sock`, the guest connects."""

from __future__ import annotations

import asyncio
import errno
import os
import socket

from firkin.domain.errors import AgentError

from .error_numbers import number_of
from .filesystem.failures import translating
from .unix_sockets import CONNECT_SECONDS, Remove, connected_socket, listening_socket

_TOKEN_BYTES = 16
_AGENT_PORT = 1024


class HostStreams:
    """Connects to ports of a host that shares a directory of unix sockets with the sandbox.

    Attributes:
        underway_seconds: how long bytes that the host wrote into a stream may be on their way before any arrives.
    """

    underway_seconds = 0.0

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def name(self, port: int) -> str:
        """A port of the host, for messages."""
        return f"{self._directory}/host-{port}.sock"

    def listening(self, port: int) -> tuple[socket.socket, Remove]:
        """Listen on a port of the sandbox, for the host alone.

        Raises:
            AgentError: EADDRINUSE: somebody listens on it.
        """
        path = f"{self._directory}/guest-{port}.sock"
        if port == _AGENT_PORT or os.path.lexists(path):
            raise port_in_use(port, path)
        with translating("listen for the host", path):
            return listening_socket(path, 0o600)

    def is_host(self, peer: socket.socket) -> bool:
        """Whether a connection to such a port comes from the host; nobody else finds the directory."""
        return True

    async def _dialled(self, port: int) -> socket.socket:
        return await connected_socket(self.name(port))

    def _dialled_blocking(self, port: int) -> socket.socket:
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            peer.settimeout(CONNECT_SECONDS)
            peer.connect(self.name(port))
        except BaseException:
            peer.close()
            raise
        return peer

    async def connect(self, port: int, token: bytes = b"") -> socket.socket:
        """Open a stream, non-blocking, whose first bytes are `token` when there is one.

        Raises:
            AgentError: the host does not listen on the port.
        """
        if token and len(token) != _TOKEN_BYTES:
            reason = f"its token must have {_TOKEN_BYTES} bytes"
            raise AgentError("open a stream", reason, path=self.name(port), errno=errno.EINVAL)
        try:
            peer = await self._dialled(port)
            try:
                if token:
                    async with asyncio.timeout(CONNECT_SECONDS):
                        await asyncio.get_running_loop().sock_sendall(peer, token)
            except BaseException:
                peer.close()
                raise
        except OSError as error:
            raise self._refused(port, error) from error
        return peer

    def connect_blocking(self, port: int, token: bytes) -> socket.socket:
        """As `connect`, for a thread: the socket blocks.

        Raises:
            AgentError: the host does not listen on the port.
        """
        try:
            peer = self._dialled_blocking(port)
            try:
                peer.settimeout(CONNECT_SECONDS)
                peer.sendall(token)
                peer.settimeout(None)
            except BaseException:
                peer.close()
                raise
        except OSError as error:
            raise self._refused(port, error) from error
        return peer

    def _refused(self, port: int, error: OSError) -> AgentError:
        reason = "the host does not accept the stream"
        return AgentError("open a stream", reason, path=self.name(port), errno=number_of(error))


def port_in_use(port: int, where: str) -> AgentError:
    """What is wrong with listening on `port`."""
    return AgentError("listen for the host", f"port {port} is in use", path=where, errno=errno.EADDRINUSE)
