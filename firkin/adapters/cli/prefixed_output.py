"""Lines of several containers on one standard output and one standard error, each with its container's name."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from contextlib import asynccontextmanager

from rich.console import Console

from firkin.host_side.whole_writes import write_whole

LONGEST_LINE_BYTES = 65536
_QUEUED_PIECES = 16
_NAMES = {1: "standard output", 2: "standard error"}
_COLOURS = ("36", "33", "32", "35", "34", "31", "96", "93", "92", "95", "94", "91")


class LineSplitter:
    """Puts a prefix before every line of a stream of bytes; what it is fed may end anywhere in a line.

    A line of more than LONGEST_LINE_BYTES is handed out in pieces, each as a line of its own.
    """

    def __init__(self, prefix: bytes) -> None:
        self._prefix = prefix
        self._partial = b""

    def feed(self, data: bytes) -> bytes:
        """Take what was read, return the lines that are whole now."""
        *whole, self._partial = (self._partial + data).split(b"\n")
        if len(self._partial) > LONGEST_LINE_BYTES:
            whole.append(self._partial)
            self._partial = b""
        return b"".join(self._prefix + line + b"\n" for line in whole)

    def end(self) -> bytes:
        """Return the last line, when it lacked its newline."""
        partial, self._partial = self._partial, b""
        return self._prefix + partial + b"\n" if partial else b""


def prefixes(names: Sequence[str], descriptor: int) -> dict[str, bytes]:
    """The prefix of each container, aligned, and coloured when `descriptor` is a terminal that shows colours."""
    width = max(map(len, names), default=0)
    plain = {name: f"{name.ljust(width)} | " for name in names}
    if not _shows_colours(descriptor):
        return {name: prefix.encode() for name, prefix in plain.items()}
    return {
        name: f"\x1b[{_COLOURS[index % len(_COLOURS)]}m{prefix}\x1b[0m".encode()
        for index, (name, prefix) in enumerate(plain.items())
    }


def _shows_colours(descriptor: int) -> bool:
    # rich knows the conventions: NO_COLOR, TERM=dumb and the like.
    console = Console(stderr=descriptor == 2)
    return os.isatty(descriptor) and console.is_terminal and not console.no_color and not console.is_dumb_terminal


class LineWriter:
    """Writes whole lines to a file descriptor, off the event loop, in the order in which they were handed over."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._pieces: asyncio.Queue[bytes | None] = asyncio.Queue(_QUEUED_PIECES)

    async def copy(self, source: AsyncIterable[bytes], prefix: bytes) -> None:
        """Write the lines of `source` until its end, waiting while the descriptor takes no more."""
        splitter = LineSplitter(prefix)
        async for data in source:
            if lines := splitter.feed(data):
                await self.write(lines)
        if last := splitter.end():
            await self.write(last)

    async def write(self, data: bytes) -> None:
        """Hand bytes over as they are, waiting while the descriptor takes no more."""
        await self._pieces.put(data)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        """Write while the body runs; leaving it waits until everything handed over is written.

        Raises:
            BrokenPipeError: whoever read the output went away.
        """
        async with asyncio.TaskGroup() as group:
            group.create_task(self._write_all())
            yield
            await self._pieces.put(None)

    async def _write_all(self) -> None:
        while (piece := await self._pieces.get()) is not None:
            await asyncio.to_thread(_write_named, self._descriptor, piece)


def _write_named(descriptor: int, data: bytes) -> None:
    try:
        write_whole(descriptor, data)
    except OSError as error:
        raise OSError(error.errno, error.strerror, _NAMES.get(descriptor, f"descriptor {descriptor}")) from error
