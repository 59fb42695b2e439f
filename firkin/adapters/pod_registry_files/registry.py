"""Keeps the registry of pods below a directory."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from firkin.domain.errors import InvalidId, PermissionMissing, PodNameTaken, PodNotFound, PodStillRunning
from firkin.domain.ids import PodId
from firkin.domain.supervised_pod import PodRecord

from .directories import PODS, discard, new_directory, pod_directories
from .directory_lock import held, is_locked, locked
from .record_file import read_record, write_record
from .sweeping import sweep

_ATTEMPTS = 16
_MOMENT_SECONDS = 1.0
_POLL_SECONDS = 0.005


class _ClaimedDirectory:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.is_discarded = False

    def save(self, record: PodRecord) -> None:
        """Write the record down, whole or not at all."""
        write_record(self.directory, record)

    def discard(self) -> None:
        """Let the pod be forgotten at the end."""
        self.is_discarded = True


class FilePodRegistry:
    """Keeps the port PodRegistry with a directory for each pod (0700), whose lock its supervisor holds."""

    def __init__(self, state_dir: Path) -> None:
        """Touch nothing yet; the pods are in `<state_dir>/pods`."""
        self.pods = state_dir.absolute() / PODS

    @contextmanager
    def claimed(self, record: PodRecord) -> Iterator[_ClaimedDirectory]:
        """Enter a new pod and hold it; see `firkin.ports.pod_registry`."""
        path = self.pods / record.id
        with self._permitted():
            self.pods.mkdir(mode=0o700, parents=True, exist_ok=True)
            sweep(self.pods)
            lock = self._entered(record, path)
        claimed = _ClaimedDirectory(path)
        try:
            yield claimed
        finally:
            if claimed.is_discarded:
                discard(path)
            os.close(lock)

    def _entered(self, record: PodRecord, path: Path) -> int:
        """Make the directory aside, locked from its first moment on, and give it its name whole."""
        for _ in range(_ATTEMPTS):
            new = new_directory(self.pods)
            lock = locked(new)
            if lock is None:  # somebody who looks for leftovers was quicker
                shutil.rmtree(new, ignore_errors=True)
                continue
            try:
                write_record(new, record)
                os.rename(new, path)
            except BaseException as error:
                shutil.rmtree(new, ignore_errors=True)
                os.close(lock)
                if isinstance(error, OSError) and path.exists():
                    kept = self._record(path)
                    raise PodNameTaken(record.id, "damaged" if kept is None else kept.phase) from error
                raise
            return lock
        raise PermissionMissing(f"make a directory in {str(self.pods)!r}", "somebody removes it each time")

    @contextmanager
    def _permitted(self) -> Iterator[None]:
        try:
            yield
        except PermissionError as error:
            remedy = "run as the user that owns it, or set FIRKIN_STATE_DIR"
            raise PermissionMissing(f"use the pods in {str(self.pods)!r}", remedy) from error

    def records(self) -> tuple[PodRecord, ...]:
        """All pods, the oldest first."""
        with self._permitted():
            found = [record for path in pod_directories(self.pods) if (record := self._record(path)) is not None]
        return tuple(sorted(found, key=lambda record: (record.created, record.id)))

    def record(self, pod_id: str) -> PodRecord:
        """One pod.

        Raises:
            PodNotFound: there is none of this name.
        """
        with self._permitted():
            record = self._record(self._existing(pod_id))
        if record is None:
            raise PodNotFound(pod_id)
        return record

    def _existing(self, pod_id: str) -> Path:
        try:
            return self.pods / PodId(pod_id)
        except InvalidId:
            raise PodNotFound(pod_id) from None

    def _record(self, path: Path) -> PodRecord | None:
        """What a pod's record says; of one whose supervisor was killed, that it is abandoned."""
        is_held = is_locked(path)
        # Read after the lock was looked at: what a supervisor wrote last, it wrote before it let go.
        record = read_record(path)
        if record is None or is_held or record.phase.is_over:
            return record
        return record.abandoned(_last_sign(path))

    def is_held(self, pod_id: PodId) -> bool:
        """True while a supervisor runs the pod."""
        return is_locked(self.pods / pod_id)

    def remove(self, pod_id: PodId) -> None:
        """Forget a pod that nobody runs, with its logs; see `firkin.ports.pod_registry`."""
        path = self._existing(pod_id)
        deadline = time.monotonic() + _MOMENT_SECONDS
        with self._permitted():
            while path.exists():
                with held(path) as is_ours:
                    if is_ours:
                        discard(path)
                        return
                # Others look at a lock by taking it for an instant.
                if time.monotonic() > deadline:
                    raise PodStillRunning(pod_id)
                time.sleep(_POLL_SECONDS)
        raise PodNotFound(pod_id)


def _last_sign(path: Path) -> float:
    """When a supervisor was last seen: its record is written at every change."""
    try:
        return max(entry.stat().st_mtime for entry in os.scandir(path))
    except (OSError, ValueError):
        return 0.0
