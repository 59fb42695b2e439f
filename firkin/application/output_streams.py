"""The streams of a process, for its user."""

from __future__ import annotations

from collections.abc import AsyncIterator

from firkin.ports.streams import ByteSink, ByteSource

_CHUNK_BYTES = 65536


class OutputStream:
    """What a process writes: read it in chunks, in lines, or whole. One reader at a time."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._left = b""

    async def read(self, max_bytes: int = _CHUNK_BYTES) -> bytes:
        """Return at least one byte, or b"" at the end."""
        if self._left:
            data, self._left = self._left[:max_bytes], self._left[max_bytes:]
            return data
        return await self._source.read(max_bytes)

    async def read_line(self) -> bytes:
        """Return one line with its newline; the last one may lack it; b"" at the end."""
        line = bytearray()
        while not line.endswith(b"\n"):
            data = await self.read()
            if not data:
                break
            head, newline, self._left = data.partition(b"\n")
            line += head + newline
        return bytes(line)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while data := await self.read():
            yield data

    async def read_up_to(self, limit_bytes: int) -> tuple[bytes, bool]:
        """Read to the end, keep the first `limit_bytes`, and tell whether there was more.

        What does not fit is read and dropped, so that the process never waits for its reader.
        """
        kept = bytearray()
        exceeded = False
        async for data in self:
            room = limit_bytes - len(kept)
            kept += data[:room]
            exceeded = exceeded or len(data) > room
        return bytes(kept), exceeded

    async def aclose(self) -> None:
        """Stop reading; twice is fine."""
        await self._source.aclose()


class InputStream:
    """What a process reads."""

    def __init__(self, sink: ByteSink) -> None:
        self._sink = sink

    async def write(self, data: bytes) -> None:
        """Hand all of `data` on, waiting while the process does not read.

        Raises:
            BrokenPipeError: the process closed its end.
        """
        await self._sink.write(data)

    async def aclose(self) -> None:
        """End of input; twice is fine."""
        await self._sink.aclose()
