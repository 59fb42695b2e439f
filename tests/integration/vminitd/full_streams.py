"""Streams into a process that are full: nobody reads what it writes, so nothing takes what it is sent."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

_PIECE_BYTES = 1 << 14
_STALLED_SECONDS = 1.0


async def filled(write: Callable[[bytes], Awaitable[None]]) -> tuple[bytes, bytes]:
    """Write until nothing is taken any more; what was sent, and the last piece, of which a part may have been.

    `write` returns once its bytes have left this process.
    """
    pieces = random.Random(1)
    sent = bytearray()
    while True:
        piece = pieces.randbytes(_PIECE_BYTES)
        writing = asyncio.ensure_future(write(piece))
        try:
            done, _ = await asyncio.wait({writing}, timeout=_STALLED_SECONDS)
        finally:
            writing.cancel()
        if not done:
            await asyncio.wait({writing})
            return bytes(sent), piece
        await writing
        sent += piece
