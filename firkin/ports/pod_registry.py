"""Which long-lived pods there are."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from firkin.domain.ids import PodId
from firkin.domain.supervised_pod import PodRecord


class ClaimedPod(Protocol):
    """A pod's place in the registry, held by its supervisor."""

    @property
    def directory(self) -> Path:
        """The supervisor's own (0700): for its control socket and what it says."""
        ...

    def save(self, record: PodRecord) -> None:
        """Write the record down, whole or not at all.

        Raises:
            OSError: it cannot be written; what was written before stays.
        """
        ...

    def discard(self) -> None:
        """Let the pod be forgotten, with its logs, as soon as it is let go of."""
        ...


class PodRegistry(Protocol):
    """Knows pods by name; who holds a pod's lock runs it, whatever its record says. All calls are quick."""

    def claimed(self, record: PodRecord) -> AbstractContextManager[ClaimedPod]:
        """Enter a new pod and hold it; leaving lets go of it, after which its record is what was saved last.

        Raises:
            PodNameTaken: a pod of this name is kept.
            PermissionMissing: the registry cannot be written to.
        """
        ...

    def records(self) -> tuple[PodRecord, ...]:
        """All pods, the oldest first; one that nobody holds and that had not ended is told as abandoned."""
        ...

    def record(self, pod_id: str) -> PodRecord:
        """One pod, as in `records`.

        Raises:
            PodNotFound: there is none of this name.
        """
        ...

    def is_held(self, pod_id: PodId) -> bool:
        """True while a supervisor runs the pod."""
        ...

    def remove(self, pod_id: PodId) -> None:
        """Forget a pod that nobody runs, with its logs.

        Raises:
            PodNotFound: there is none of this name.
            PodStillRunning: its supervisor lives.
        """
        ...
