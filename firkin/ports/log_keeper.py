"""Where the output of containers is kept beyond the life of the process that runs their pod."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from firkin.domain.ids import ContainerId, PodId
from firkin.domain.output_log import LogEntry


class KeptLog(Protocol):
    """The log of one container, to be written by one process."""

    def append(self, stream: str, data: bytes, unix_seconds: float) -> None:
        """Keep output that arrived; the oldest makes way.

        Never raises: a container does not fail because its log cannot be kept. What could not be kept is told by
        `lost_bytes` of the next entry that is.
        """
        ...

    def close(self) -> None:
        """Give the file back; twice is fine, and a later `append` opens it again."""
        ...


@runtime_checkable
class LogKeeper(Protocol):
    """Keeps logs by pod and container."""

    def opened(self, pod_id: PodId, container_id: ContainerId, max_bytes: int) -> KeptLog:
        """The log of a container, to go on where it ended; at most `max_bytes` are kept."""
        ...

    def entries(
        self, pod_id: PodId, container_id: ContainerId, since: float | None = None, tail: int | None = None
    ) -> Sequence[LogEntry]:
        """What is kept; only what arrived at `since` (seconds since 1970) or later, and of that the last `tail` lines.

        Nothing for a container that wrote nothing, or that there never was.
        """
        ...
