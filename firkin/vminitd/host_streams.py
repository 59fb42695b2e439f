"""Streams between guest and host: the host listens on `host-<port>.sock`, the guest connects."""

from __future__ import annotations

import asyncio
import errno
import os
import socket

from firkin.domain.errors import AgentError

_TOKEN_BYTES = 16
_CONNECT_SECONDS = 10.0
_RETRY_SECONDS = 0.005


class HostStreams:
    """Connects to ports of the host."""

    def __init__(self, directory: str) -> None:
        self._directory = directory

    async def connect(self, port: int, token: bytes = b"") -> socket.socket:
        """Open a stream, non-blocking, whose first bytes are `token` when there is one.

        Raises:
            AgentError: the host does not listen on the port.
        """
        path = f"{self._directory}/host-{port}.sock"
        if token and len(token) != _TOKEN_BYTES:
            raise AgentError(
                "open a stream", f"its token must have {_TOKEN_BYTES} bytes", path=path, errno=errno.EINVAL
            )
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            peer.setblocking(False)
            async with asyncio.timeout(_CONNECT_SECONDS):
                await _connected(peer, path)
                if token:
                    await asyncio.get_running_loop().sock_sendall(peer, token)
        except BaseException as error:
            peer.close()
            if isinstance(error, OSError):
                reason = "the host does not accept the stream"
                raise AgentError("open a stream", reason, path=path, errno=error.errno or 0) from error
            raise
        return peer

    def connect_blocking(self, port: int, token: bytes) -> socket.socket:
        """As `connect`, for a thread: the socket blocks.

        Raises:
            AgentError: the host does not listen on the port.
        """
        path = f"{self._directory}/host-{port}.sock"
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            peer.settimeout(_CONNECT_SECONDS)
            peer.connect(path)
            peer.sendall(token)
            peer.settimeout(None)
        except OSError as error:
            peer.close()
            reason = "the host does not accept the stream"
            raise AgentError("open a stream", reason, path=path, errno=error.errno or 0) from error
        return peer


async def connected_socket(path: str) -> socket.socket:
    """Connect to a unix socket; the result is non-blocking.

    Raises:
        OSError: nobody listens there, or nobody accepts in time (TimeoutError).
    """
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        peer.setblocking(False)
        async with asyncio.timeout(_CONNECT_SECONDS):
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
