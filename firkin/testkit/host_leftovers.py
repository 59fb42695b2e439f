"""What a sandbox could leave on the host."""

from __future__ import annotations

import os
import threading
from pathlib import Path

_LOOKS = 500
_LOOK_SECONDS = 0.02


def host_leftovers(directory: Path) -> list[str]:
    """Processes, mounts and loop devices that name `directory` or anything below it, in words; empty when undone."""
    left = [f"process {pid}" for pid in processes_naming(str(directory))]
    left += [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(directory) in line]
    return left + _lasting_loop_devices(str(directory))


def _lasting_loop_devices(argument: str) -> list[str]:
    """Those that stay: the kernel gives a device back in its own time, after whoever had it mounted has gone."""
    for _ in range(_LOOKS):
        if not _loop_devices(argument):
            break
        threading.Event().wait(_LOOK_SECONDS)
    return _loop_devices(argument)


def _loop_devices(argument: str) -> list[str]:
    backing_files = Path("/sys/block").glob("loop*/loop/backing_file")
    return [str(path) for path in backing_files if argument in _bytes(path).decode(errors="replace")]


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
    except OSError:  # what it tells of has gone meanwhile: ENOENT, ESRCH of a process, ENODEV of a device
        return b""
