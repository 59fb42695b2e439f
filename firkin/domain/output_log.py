"""What a container has written, kept with a bound: values and rules, no waiting."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

import msgspec
from msgspec.structs import replace

DEFAULT_LOG_BYTES = 10 * 2**20
"""How much of a container's output is kept unless its spec says otherwise."""

_BYTES_PER_PIECE = 128


class LogEntry(msgspec.Struct, frozen=True):
    """Output that arrived at once.

    Attributes:
        stream: `stdout` or `stderr`.
        data: the bytes; they may begin and end inside a line.
        unix_seconds: when they arrived, by the host's clock.
        lost_bytes: output before these bytes that this reader came too late for, because newer output took its place.
    """

    stream: str
    data: bytes
    unix_seconds: float
    lost_bytes: int = 0


class _Piece(msgspec.Struct, frozen=True):
    """An entry in the log: `offset` counts all bytes that ever came before it."""

    entry: LogEntry
    offset: int
    begins_line: bool

    @property
    def end(self) -> int:
        return self.offset + len(self.entry.data)

    @property
    def lines_begun(self) -> int:
        data = self.entry.data
        return data.count(b"\n") + self.begins_line - data.endswith(b"\n")


class OutputLog:
    """Keeps the newest output: at most `max_bytes`, in at most one piece for every 128 of them."""

    def __init__(self, max_bytes: int = DEFAULT_LOG_BYTES) -> None:
        self._max_bytes = max_bytes
        self._pieces: deque[_Piece] = deque()
        self._kept_bytes = 0
        self._inside_line: set[str] = set()
        self.end = 0

    def append(self, stream: str, data: bytes, unix_seconds: float, lost_bytes: int = 0) -> None:
        """Take output that arrived, after `lost_bytes` that could not be kept; the oldest makes way."""
        kept = data[-self._max_bytes :]
        begins_line = stream not in self._inside_line and len(kept) == len(data)
        offset = self.end + len(data) - len(kept)
        self._pieces.append(_Piece(LogEntry(stream, kept, unix_seconds, lost_bytes), offset, begins_line))
        self._kept_bytes += len(kept)
        self.end += len(data)
        if data.endswith(b"\n"):
            self._inside_line.discard(stream)
        else:
            self._inside_line.add(stream)
        while self._kept_bytes > self._max_bytes or len(self._pieces) > max(self._max_bytes // _BYTES_PER_PIECE, 1):
            self._kept_bytes -= len(self._pieces.popleft().entry.data)

    def since(self, position: int) -> list[LogEntry]:
        """What was written from `position` on, a former `end` or 0; the first entry tells what is lost of it."""
        found: deque[_Piece] = deque()
        for piece in reversed(self._pieces):
            if piece.offset < position:
                break
            found.appendleft(piece)
        entries = [piece.entry for piece in found]
        if found and found[0].offset > position:
            entries[0] = replace(entries[0], lost_bytes=found[0].offset - position)
        return entries

    def entries(self, unix_seconds: float | None = None, tail: int | None = None) -> list[LogEntry]:
        """What is kept; only what arrived at that time or later, and only so many last lines, when they are given."""
        pieces = [one for one in self._pieces if unix_seconds is None or one.entry.unix_seconds >= unix_seconds]
        return [piece.entry for piece in (pieces if tail is None else _last_lines(pieces, tail))]


def _last_lines(pieces: Sequence[_Piece], count: int) -> Iterator[_Piece]:
    """The last `count` lines of both streams, counted by when they began, without the rest of earlier lines."""
    begun, first = 0, len(pieces)
    while first > 0 and begun < count:
        first -= 1
        begun += pieces[first].lines_begun
    excess = max(begun - count, 0)
    is_whole = {"stdout": False, "stderr": False}
    for index in range(first, len(pieces)):
        piece = pieces[index]
        stream = piece.entry.stream
        data = piece.entry.data
        if not is_whole.get(stream) or (index == first and excess):
            data = _after_lines(piece, excess if index == first else 0)
            is_whole[stream] = bool(data) or piece.entry.data.endswith(b"\n")
        if data:
            yield replace(piece, entry=replace(piece.entry, data=data))


def _after_lines(piece: _Piece, count: int) -> bytes:
    """The piece without its first `count` lines, and without a line that began before it."""
    data = piece.entry.data
    for _ in range(count + (not piece.begins_line)):
        _, newline, data = data.partition(b"\n")
        if not newline:
            return b""
    return data
