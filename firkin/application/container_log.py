"""Reading the log of a container."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

from firkin.domain.errors import InvalidArgument, NotLogged
from firkin.domain.output_log import LogEntry

from .container_record import ContainerRecord


def read_log(
    record: ContainerRecord, since: datetime | None = None, tail: int | None = None, follow: bool = False
) -> AsyncIterator[LogEntry]:
    """Yield what is kept and, with `follow`, what comes after this call.

    Raises:
        NotLogged: none of the container's streams is `Stdio.LOG`.
        InvalidArgument: `tail` is negative.
    """
    recorder = record.log
    if recorder is None:
        raise NotLogged(record.id)
    if tail is not None and tail < 0:
        raise InvalidArgument(f"the last {tail} lines of a log cannot be told")
    kept = recorder.kept(None if since is None else since.timestamp(), tail)
    following = recorder.followed(record.finished) if follow else None
    return _joined(kept, following)


async def _joined(kept: Sequence[LogEntry], following: AsyncIterator[LogEntry] | None) -> AsyncIterator[LogEntry]:
    for entry in kept:
        yield entry
    if following is not None:
        async for entry in following:
            yield entry
