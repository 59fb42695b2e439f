"""Streams between guest and host: the host listens on `host-<port>.sock`, the guest connects."""

from __future__ import annotations

import asyncio
import errno
import os
import socket

from firkin.domain.errors import AgentError

_TOKEN_BYTES = 16
CONNECT_SECONDS = 10.0
_RETRY_SECONDS = 0.005


class HostStreams:
    """Connects to ports of a host that shares a directory of unix sockets with the sandbox."""

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def name(self, port: int) -> str:
        """A port of the host, for messages."""
        return f"{self._directory}/host-{port}.sock"

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
        return AgentError("open a stream", reason, path=self.name(port), errno=error.errno or 0)


async def connected_socket(path: str) -> socket.socket:
    """Connect to a unix socket; the result is non-blocking.

    Raises:
        OSError: nobody listens there, or nobody accepts in time (TimeoutError).
    """
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        peer.setblocking(False)
        async with asyncio.timeout(CONNECT_SECONDS):
            await _connected(peer, path)
    except BaseException:
        peer.close()
        raise
    return peer


async def _connected(peer: socket.socket, path: str) -> None:
    # A unix socket never connects "in progress": EAGAIN means that the listener's queue is full just now.
    while True:
        status = peer.connect_ex(path)
        if status == 0:
            return
        if status != errno.EAGAIN:
            raise OSError(status, os.strerror(status), path)
        await asyncio.sleep(_RETRY_SECONDS)
