"""What a sandbox could leave on the host."""

from __future__ import annotations

import os
from pathlib import Path


def host_leftovers(directory: Path) -> list[str]:
    """Processes, mounts and loop devices that name `directory` or anything below it, in words; empty when undone."""
    left = [f"process {pid}" for pid in processes_naming(str(directory))]
    left += [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(directory) in line]
    backing_files = Path("/sys/block").glob("loop*/loop/backing_file")
    left += [str(path) for path in backing_files if str(directory) in _bytes(path).decode(errors="replace")]
    return left


def processes_naming(argument: str) -> list[int]:
    """Processes whose command line has `argument` in it, this one and those above it left out."""
    wanted, own = os.fsencode(argument), _own_line()
    lines = {int(path.parent.name): _bytes(path) for path in Path("/proc").glob("[0-9]*/cmdline")}
    return [pid for pid, line in lines.items() if wanted in line and pid not in own]


def _own_line() -> set[int]:
    pids, pid = set(), os.getpid()
    while pid > 0:
        pids.add(pid)
        stat = _bytes(Path(f"/proc/{pid}/stat"))
        pid = int(stat.rpartition(b")")[2].split()[1]) if stat else 0
    return pids


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""
