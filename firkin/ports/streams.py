"""Byte streams of a process."""

from __future__ import annotations

from typing import Protocol


class ByteSource(Protocol):
    """What a process writes. One reader at a time."""

    async def read(self, max_bytes: int = 65536) -> bytes:
        """Return at least one byte, or b"" once the process closed its end and everything was read."""
        ...

    async def aclose(self) -> None:
        """Stop reading; twice is fine."""
        ...


class ByteSink(Protocol):
    """What a process reads. One writer at a time."""

    async def write(self, data: bytes) -> None:
        """Hand all of `data` on, waiting while the process does not read.

        Raises:
            BrokenPipeError: the process closed its end.
        """
        ...

    async def aclose(self) -> None:
        """End of input, after everything written; twice is fine."""
        ...
