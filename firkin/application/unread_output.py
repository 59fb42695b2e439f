"""Output of a process that is to end, which must not wait for a reader who may never come."""

from __future__ import annotations

import asyncio

from firkin.ports.streams import ByteSource


class UnreadOutput:
    """A source that can read on in its reader's place, and has the bytes for him when he comes.

    An agent tells a process's end when its output has left the sandbox; so what nobody takes holds the news up.
    """

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._kept = bytearray()
        self._limit_bytes = 0
        self._is_read = False
        self._is_keeping = False
        self._has_ended = False
        self._changed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def read(self, max_bytes: int = 65536) -> bytes:
        """Return at least one byte, or b"" once the process closed its end and everything was read."""
        while self._is_keeping and not self._kept:
            await self._change()
        if self._kept:
            data = bytes(self._kept[:max_bytes])
            del self._kept[:max_bytes]
            return data
        if self._has_ended:
            return b""
        self._is_read = True
        try:
            return await self._source.read(max_bytes)
        finally:
            self._is_read = False
            self._wake()

    async def keep(self, more_bytes: int) -> None:
        """Take what the process wrote into memory, until that is `more_bytes` more than now, or all of it."""
        self._limit_bytes = len(self._kept) + more_bytes
        if self._is_keeping:
            return
        self._is_keeping = True
        try:
            while len(self._kept) < self._limit_bytes and not self._has_ended:
                if self._is_read:
                    await self._change()
                    continue
                data = await self._source.read()
                self._kept += data
                self._has_ended = not data
                self._wake()
        finally:
            self._is_keeping = False
            self._wake()

    async def aclose(self) -> None:
        """Stop reading; twice is fine."""
        self._kept.clear()
        self._has_ended = True
        await self._source.aclose()

    async def _change(self) -> None:
        await asyncio.shield(self._changed)

    def _wake(self) -> None:
        self._changed.set_result(None)
        self._changed = self._changed.get_loop().create_future()
