"""A pipe between two coroutines."""

from __future__ import annotations

import asyncio


class MemoryPipe:
    """Bounded like a kernel pipe: a writer waits while it is full, a reader while it is empty."""

    def __init__(self, capacity_bytes: int = 65536) -> None:
        self._capacity = capacity_bytes
        self._bytes = bytearray()
        self._written_off = False
        self._read_off = False
        self._changed = asyncio.Condition()

    async def write(self, data: bytes) -> None:
        """Write all of `data`.

        Raises:
            BrokenPipeError: the reading end is closed.
        """
        view = memoryview(data)
        async with self._changed:
            while len(view):
                await self._changed.wait_for(lambda: self._read_off or len(self._bytes) < self._capacity)
                if self._read_off:
                    raise BrokenPipeError
                room = self._capacity - len(self._bytes)
                self._bytes += view[:room]
                view = view[room:]
                self._changed.notify_all()

    async def read(self, max_bytes: int = 65536) -> bytes:
        """Return at least one byte, or b"" when the writing end is closed and everything was read."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._bytes or self._written_off or self._read_off)
            data = bytes(self._bytes[:max_bytes])
            del self._bytes[:max_bytes]
            self._changed.notify_all()
            return data

    async def close_writing(self) -> None:
        """No more will be written."""
        async with self._changed:
            self._written_off = True
            self._changed.notify_all()

    async def close_reading(self) -> None:
        """No more will be read."""
        async with self._changed:
            self._read_off = True
            self._bytes.clear()
            self._changed.notify_all()


class PipeSource:
    """The reading end, as ports.streams.ByteSource has it."""

    def __init__(self, pipe: MemoryPipe) -> None:
        self._pipe = pipe

    async def read(self, max_bytes: int = 65536) -> bytes:
        """Return at least one byte, or b"" at the end."""
        return await self._pipe.read(max_bytes)

    async def aclose(self) -> None:
        """Stop reading; twice is fine."""
        await self._pipe.close_reading()


class PipeSink:
    """The writing end, as ports.streams.ByteSink has it."""

    def __init__(self, pipe: MemoryPipe) -> None:
        self._pipe = pipe

    async def write(self, data: bytes) -> None:
        """Write all of `data`.

        Raises:
            BrokenPipeError: the process closed its end.
        """
        await self._pipe.write(data)

    async def aclose(self) -> None:
        """End of input; twice is fine."""
        await self._pipe.close_writing()
