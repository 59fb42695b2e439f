"""Lines of the log format of the Container Runtime Interface: `<moment> <stream> <P or F> <content>`.

P is a part of a line, F the end of one: so every byte of the output comes back, the last newline included. Tools
that do not know firkin take what was lost, a line of the stream `stderr` that begins with the mark below, as a line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from firkin.domain.output_log import LogEntry

_STREAMS = {b"stdout": "stdout", b"stderr": "stderr"}
_LOST = b"[firkin: bytes lost] "


def encoded(stream: str, data: bytes, unix_seconds: float, lost_bytes: int = 0) -> bytes:
    """The lines of output that arrived at once; empty for no output."""
    begin = f"{_moment(unix_seconds)} {stream} ".encode()
    full, partial = begin + b"F ", begin + b"P "
    lost = full + _LOST + str(lost_bytes).encode() + b"\n" if lost_bytes else b""
    whole, newline, rest = data.rpartition(b"\n")
    lines = full + whole.replace(b"\n", b"\n" + full) + b"\n" if newline else b""
    return lost + lines + (partial + rest + b"\n" if rest else b"")


def _moment(unix_seconds: float) -> str:
    return datetime.fromtimestamp(unix_seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def decoded(lines: Iterable[bytes]) -> Iterator[LogEntry]:
    """What the lines hold, as it arrived; a line that a crash cut off is left out."""
    previous, pieces, lost_bytes = (b"", b""), list[bytes](), 0
    for line in lines:
        moment, _, rest = line.partition(b" ")
        stream, _, rest = rest.partition(b" ")
        tag, space, content = rest.partition(b" ")
        if stream not in _STREAMS or tag not in (b"F", b"P") or not space or not content.endswith(b"\n"):
            continue
        if (moment, stream) != previous:
            yield from _entry(previous, pieces, lost_bytes)
            previous, pieces, lost_bytes = (moment, stream), [], 0
        if not pieces and tag == b"F" and content.startswith(_LOST):
            count = content.removeprefix(_LOST).rstrip()
            lost_bytes += int(count) if count.isdigit() else 0
            continue
        pieces.append(content if tag == b"F" else content[:-1])
    yield from _entry(previous, pieces, lost_bytes)


def _entry(head: tuple[bytes, bytes], pieces: list[bytes], lost_bytes: int) -> Iterator[LogEntry]:
    moment, stream = head
    try:
        unix_seconds = datetime.fromisoformat(moment.decode("ascii", "replace")).timestamp()
    except ValueError:
        return
    if pieces:
        yield LogEntry(_STREAMS[stream], b"".join(pieces), unix_seconds, lost_bytes)
