"""A registry of pods whose disk goes wrong, as a script has it."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from firkin.domain.ids import PodId
from firkin.domain.supervised_pod import PodRecord
from firkin.ports.pod_registry import ClaimedPod, PodRegistry

from .kinds import FaultKind
from .script import FaultScript

_NUMBERS = {FaultKind.NO_SPACE: errno.ENOSPC, FaultKind.IO_ERROR: errno.EIO}


class FaultyPodRegistry:
    """A registry whose records obey a script when they are saved. It answers at once: it has no connection to drop."""

    def __init__(self, registry: PodRegistry, script: FaultScript) -> None:
        self._registry = registry
        self._script = script

    @contextlib.contextmanager
    def claimed(self, record: PodRecord) -> Iterator[ClaimedPod]:
        """Enter a pod; the rules for `registry.save` are for what is saved afterwards."""
        with self._registry.claimed(record) as claimed:
            yield _FaultyClaim(claimed, self._script)

    def records(self) -> tuple[PodRecord, ...]:
        """All pods."""
        return self._registry.records()

    def record(self, pod_id: str) -> PodRecord:
        """One pod."""
        return self._registry.record(pod_id)

    def is_held(self, pod_id: PodId) -> bool:
        """True while a supervisor runs the pod."""
        return self._registry.is_held(pod_id)

    def remove(self, pod_id: PodId) -> None:
        """Forget a pod."""
        self._registry.remove(pod_id)


class _FaultyClaim:
    def __init__(self, claimed: ClaimedPod, script: FaultScript) -> None:
        self._claimed = claimed
        self._script = script

    @property
    def directory(self) -> Path:
        """As it is."""
        return self._claimed.directory

    def save(self, record: PodRecord) -> None:
        """Write it down, unless the disk is full or broken."""
        fault = self._script.fault_of("registry.save", len(record.to_json()))
        number = None if fault is None else _NUMBERS.get(fault.kind)
        if fault is None or number is None or fault.has_effect:
            self._claimed.save(record)
        if number is not None:
            raise OSError(number, os.strerror(number), str(self.directory))

    def discard(self) -> None:
        """Let the pod be forgotten at the end."""
        self._claimed.discard()
