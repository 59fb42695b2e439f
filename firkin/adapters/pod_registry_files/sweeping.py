"""Tidying up after supervisors that were killed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from firkin.ports.leftovers import Leftover

from .directories import discard, half_done_directories, pod_directories
from .directory_lock import held, is_locked
from .record_file import read_record, write_record

_KIND = "state of a supervisor"


def found_remains(pods: Path) -> Iterator[Leftover]:
    """Look for what nobody holds any more, and touch nothing."""
    for path in pod_directories(pods):
        if is_locked(path):
            continue
        record = read_record(path)
        if record is None:
            yield Leftover(_KIND, str(path), "it has no record that can be read")
        elif not record.phase.is_over:
            stays = "" if record.is_removed_at_end else f"; its logs stay until `firkin rm {record.id}`"
            yield Leftover(_KIND, str(path), f"the supervisor of pod {record.id} was killed{stays}")
    for path in half_done_directories(pods):
        if not is_locked(path):
            yield Leftover(_KIND, str(path), "half made or half removed")


def removed_remains(path: Path) -> str:
    """Tidy one directory up, unless somebody holds it by now; returns why it is still there, "" when it is not."""
    with held(path) as is_ours:
        if not is_ours:
            return ""
        record = read_record(path)
        if record is None or record.is_removed_at_end or path.name.startswith("."):
            discard(path)
            return f"{path} cannot be removed" if path.exists() else ""
        for entry in path.iterdir():
            if entry.is_socket():
                entry.unlink()
        if not record.phase.is_over:
            write_record(path, record.abandoned(time.time()))
    return ""


def sweep(pods: Path) -> None:
    """Tidy all up that nobody holds; a record that cannot be read is kept for whoever may still read it."""
    paths = [Path(leftover.name) for leftover in found_remains(pods)]
    for path in paths:
        if path.name.startswith(".") or read_record(path) is not None:
            removed_remains(path)
