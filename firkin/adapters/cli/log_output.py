"""Log entries on standard output and standard error, as they are or line by line."""

from __future__ import annotations

from collections.abc import AsyncIterable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, Self

from .pod_end import tell
from .prefixed_output import LineSplitter, LineWriter, prefixes

if TYPE_CHECKING:
    from firkin.domain.output_log import LogEntry

_DESCRIPTORS = {"stdout": 1, "stderr": 2}


class LogOptions(NamedTuple):
    """What is asked of logs: from when on, how many last lines, and what each line begins with."""

    since: float | None = None
    tail: int | None = None
    has_moments: bool = False
    is_named: bool = False


class _Lines:
    """One stream of one container."""

    def __init__(self, prefix: bytes, options: LogOptions) -> None:
        self._splitter = LineSplitter(b"")
        self._prefix = prefix
        self._options = options
        self._moment = 0.0

    def feed(self, entry: LogEntry) -> bytes:
        """The lines that are whole with this entry; without prefixes and moments, what it holds."""
        if not self._options.is_named and not self._options.has_moments:
            return entry.data
        self._moment = entry.unix_seconds
        return self._begun(self._splitter.feed(entry.data))

    def end(self) -> bytes:
        """The last line, when it lacked its newline."""
        return self._begun(self._splitter.end())

    def _begun(self, lines: bytes) -> bytes:
        if not lines:
            return b""
        begin = self._prefix if self._options.is_named else b""
        if self._options.has_moments:
            begin += f"{datetime.fromtimestamp(self._moment, UTC):%Y-%m-%dT%H:%M:%S.%fZ} ".encode()
        return begin + lines[:-1].replace(b"\n", b"\n" + begin) + b"\n"


class LogOutput:
    """Writes entries of several containers; entering it starts writing, leaving waits until all is written."""

    def __init__(self, names: Sequence[str], options: LogOptions) -> None:
        self._writers = {descriptor: LineWriter(descriptor) for descriptor in (1, 2)}
        self._prefixes = {descriptor: prefixes(list(names), descriptor) for descriptor in (1, 2)}
        self._options = options
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        for writer in self._writers.values():
            await self._stack.enter_async_context(writer.writing())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._stack.__aexit__(kind, error, trace)

    def _streams(self, name: str) -> dict[str, _Lines]:
        return {stream: _Lines(self._prefixes[number][name], self._options) for stream, number in _DESCRIPTORS.items()}

    async def copy(self, name: str, entries: AsyncIterable[LogEntry]) -> None:
        """Write the entries of one container as they come."""
        streams = self._streams(name)
        async for entry in entries:
            self._tell_loss(name, entry)
            await self._put(entry.stream, streams[entry.stream].feed(entry))
        for stream, lines in streams.items():
            await self._put(stream, lines.end())

    async def write_merged(self, entries: Mapping[str, Sequence[LogEntry]]) -> None:
        """Write the entries of several containers in the order in which they came."""
        streams = {name: self._streams(name) for name in entries}
        pairs = ((name, entry) for name, kept in entries.items() for entry in kept)
        for name, entry in sorted(pairs, key=lambda pair: pair[1].unix_seconds):
            self._tell_loss(name, entry)
            await self._put(entry.stream, streams[name][entry.stream].feed(entry))
        for lines in streams.values():
            for stream, one in lines.items():
                await self._put(stream, one.end())

    async def _put(self, stream: str, data: bytes) -> None:
        if data:
            await self._writers[_DESCRIPTORS[stream]].write(data)

    @staticmethod
    def _tell_loss(name: str, entry: LogEntry) -> None:
        if entry.lost_bytes:
            tell(f"warning: {entry.lost_bytes} bytes of container {name} are lost here")
