"""Streams through a process that are full: nobody reads what it writes, so nothing takes what it is sent."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

_PIECE_BYTES = 1 << 16
_STALLED_SECONDS = 1.0


async def filled(
    write: Callable[[bytes], Awaitable[None]], read: Callable[[], Awaitable[bytes]]
) -> tuple[bytes, bytes]:
    """Write until nothing is taken any more, then read as little as lets the last piece in; what was sent and read.

    `write` returns once its bytes have left this process.
    """
    pieces = random.Random(1)
    sent, received = bytearray(), bytearray()
    while not received:
        piece = pieces.randbytes(_PIECE_BYTES)
        writing = asyncio.ensure_future(write(piece))
        try:
            await asyncio.wait({writing}, timeout=_STALLED_SECONDS)
            while not writing.done():
                received += await read()
            await writing
        finally:
            writing.cancel()
        sent += piece
    return bytes(sent), bytes(received)
