"""Long-lived pods, and their logs, in memory."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from firkin.domain.errors import PodNameTaken, PodNotFound, PodStillRunning
from firkin.domain.ids import ContainerId, PodId
from firkin.domain.output_log import LogEntry, OutputLog
from firkin.domain.supervised_pod import PodRecord


class _MemoryLog:
    def __init__(self, max_bytes: int) -> None:
        self.kept = OutputLog(max_bytes)

    def append(self, stream: str, data: bytes, unix_seconds: float) -> None:
        """Keep output."""
        self.kept.append(stream, data, unix_seconds)

    def close(self) -> None:
        """Nothing is open."""


class MemoryLogKeeper:
    """Keeps the port LogKeeper with a dictionary."""

    def __init__(self) -> None:
        self._logs: dict[tuple[str, str], _MemoryLog] = {}

    def opened(self, pod_id: PodId, container_id: ContainerId, max_bytes: int) -> _MemoryLog:
        """The log of a container."""
        return self._logs.setdefault((pod_id, container_id), _MemoryLog(max_bytes))

    def entries(
        self, pod_id: PodId, container_id: ContainerId, since: float | None = None, tail: int | None = None
    ) -> Sequence[LogEntry]:
        """What is kept; see `firkin.ports.log_keeper`."""
        log = self._logs.get((pod_id, container_id))
        return [] if log is None else log.kept.entries(since, tail)

    def forget(self, pod_id: PodId) -> None:
        """Let go of a pod's logs."""
        self._logs = {key: log for key, log in self._logs.items() if key[0] != pod_id}


class MemoryClaim:
    """Keeps the port ClaimedPod."""

    def __init__(self, records: dict[PodId, PodRecord], signs: dict[PodId, float], pod_id: PodId) -> None:
        self._records = records
        self._signs = signs
        self._pod_id = pod_id
        self.is_discarded = False

    @property
    def directory(self) -> Path:
        """A name only."""
        return Path("/memory/pods", self._pod_id)

    def save(self, record: PodRecord) -> None:
        """Keep the record."""
        self._records[self._pod_id] = record
        self._signs[self._pod_id] = time.time()

    def discard(self) -> None:
        """Let the pod be forgotten at the end."""
        self.is_discarded = True


class MemoryPodRegistry:
    """Keeps the port PodRegistry with a dictionary."""

    def __init__(self, logs: MemoryLogKeeper | None = None) -> None:
        self.logs = logs or MemoryLogKeeper()
        self._records: dict[PodId, PodRecord] = {}
        self._signs: dict[PodId, float] = {}
        self._held: set[PodId] = set()

    @contextmanager
    def claimed(self, record: PodRecord) -> Iterator[MemoryClaim]:
        """Enter a new pod and hold it.

        Raises:
            PodNameTaken: a pod of this name is kept.
        """
        if record.id in self._records:
            raise PodNameTaken(record.id, self.record(record.id).phase)
        claim = MemoryClaim(self._records, self._signs, record.id)
        claim.save(record)
        self._held.add(record.id)
        try:
            yield claim
        finally:
            self._held.discard(record.id)
            if claim.is_discarded:
                self.remove(record.id)

    def kill_supervisor(self, pod_id: PodId) -> None:
        """Let go of a pod as when its supervisor is killed."""
        self._held.discard(pod_id)

    def records(self) -> tuple[PodRecord, ...]:
        """All pods, the oldest first."""
        found = [self.record(pod_id) for pod_id in self._records]
        return tuple(sorted(found, key=lambda record: (record.created, record.id)))

    def record(self, pod_id: str) -> PodRecord:
        """One pod.

        Raises:
            PodNotFound: there is none of this name.
        """
        record = next((one for one in self._records.values() if one.id == pod_id), None)
        if record is None:
            raise PodNotFound(pod_id)
        is_told = record.id in self._held or record.phase.is_over
        return record if is_told else record.abandoned(self._signs[record.id])

    def is_held(self, pod_id: PodId) -> bool:
        """True while a supervisor runs the pod."""
        return pod_id in self._held

    def remove(self, pod_id: PodId) -> None:
        """Forget a pod that nobody runs, with its logs.

        Raises:
            PodNotFound: there is none of this name.
            PodStillRunning: its supervisor lives.
        """
        if pod_id not in self._records:
            raise PodNotFound(pod_id)
        if pod_id in self._held:
            raise PodStillRunning(pod_id)
        del self._records[pod_id]
        self.logs.forget(pod_id)
