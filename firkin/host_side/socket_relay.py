"""Handing on what two sockets send each other, with the end of each direction."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import select
import socket

_CHUNK_BYTES = 128 * 1024
_QUEUE_FULL_SECONDS = 0.005


async def connected(far: socket.socket, path: str) -> bool:
    """Connect a non-blocking unix socket; False when nobody listens at `path` (any more)."""
    # A unix socket never connects "in progress": EAGAIN means that the listener's queue is full just now.
    while True:
        status = far.connect_ex(path)
        if status != errno.EAGAIN:
            return status == 0
        await asyncio.sleep(_QUEUE_FULL_SECONDS)


async def relayed(source: socket.socket, sink: socket.socket) -> int:
    """Hand everything on until the source ends or the sink breaks, then tell the sink; returns the bytes."""
    loop = asyncio.get_running_loop()
    buffer = memoryview(bytearray(_CHUNK_BYTES))
    moved = 0
    with contextlib.suppress(OSError):
        while count := await loop.sock_recv_into(source, buffer):
            await loop.sock_sendall(sink, buffer[:count])
            moved += count
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
    return moved


def has_hung_up(peer: socket.socket) -> bool:
    """Whether the other end neither reads nor writes any more."""
    poller = select.poll()
    poller.register(peer, 0)
    return any(events & select.POLLHUP for _, events in poller.poll(0))
