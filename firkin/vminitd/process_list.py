"""The processes of a container, from /proc (proc(5))."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping

from firkin.domain.statistics import ProcessEntry

from .cgroup_statistics.hierarchy import CGROUP_ROOT, group_of
from .processes_by_root import processes_of_root

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_TICKS = os.sysconf("SC_CLK_TCK")
_GROUPS_LIMIT = 1000
# Of one command, and of all together: processes share the memory of their arguments, the answer that tells them does
# not, and it has no more than 4 MiB to arrive in.
_COMMAND_CHARACTERS = 65_536
_COMMANDS_CHARACTERS = 524_288
# Fields of /proc/pid/stat behind the name in parentheses, counted from 0.
_STATE, _PARENT, _USER_TIME, _SYSTEM_TIME, _THREADS, _START_TIME, _RESIDENT = 0, 1, 11, 12, 17, 19, 21


def container_processes(cgroups_path: str, rootfs: str, root: str = CGROUP_ROOT) -> list[ProcessEntry]:
    """The processes in a container's control groups and those below; where it has none, those on its rootfs.

    A command is cut off after 64 KiB; when 512 KiB of them are told, the further processes have their names alone.
    """
    pids = _pids_in(group_of(cgroups_path, root).process_files()) or processes_of_root(rootfs)
    booted = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    entries: list[ProcessEntry] = []
    left = _COMMANDS_CHARACTERS
    for pid in sorted(pids):
        entry = _entry(pid, booted, min(left, _COMMAND_CHARACTERS))
        if entry is not None:
            entries.append(entry)
            left = max(left - sum(len(text) + 1 for text in entry.command), 0)
    return entries


def _pids_in(process_files: tuple[str, ...]) -> set[int]:
    """Ids from the first hierarchy that has any; 0 stands for a process that cannot be seen from here."""
    for file in process_files:
        pids: set[int] = set()
        directories = [os.path.dirname(file)]
        for directory in directories:
            try:
                with open(f"{directory}/cgroup.procs") as lines:
                    pids.update(int(line) for line in lines)
                if len(directories) < _GROUPS_LIMIT:
                    with os.scandir(directory) as listing:
                        directories += [entry.path for entry in listing if entry.is_dir(follow_symlinks=False)]
            except (OSError, ValueError):
                continue
        if pids - {0}:
            return pids - {0}
    return set()


def _entry(pid: int, booted: float, command_bytes: int) -> ProcessEntry | None:
    """What /proc tells of a process, with so much of its command; None when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            name, _, rest = file.read().partition(b"(")[2].rpartition(b")")
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            arguments = file.read(command_bytes)
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as status:
            lines = dict(line.split(":", 1) for line in status if ":" in line)
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = rest.split()
    texts = [text.decode("utf-8", "replace") for text in arguments.rstrip(b"\0").split(b"\0")]
    return ProcessEntry(
        pid=pid,
        container_pid=_last(lines, "NSpid"),
        parent_pid=int(fields[_PARENT]),
        uid=_effective(lines, "Uid"),
        gid=_effective(lines, "Gid"),
        command=tuple(texts) if arguments else (f"[{name.decode('utf-8', 'replace')}]",),
        started_unix_seconds=booted + int(fields[_START_TIME]) / _TICKS,
        state=fields[_STATE].decode(),
        resident_bytes=int(fields[_RESIDENT]) * _PAGE_BYTES,
        cpu_seconds=(int(fields[_USER_TIME]) + int(fields[_SYSTEM_TIME])) / _TICKS,
        threads=int(fields[_THREADS]),
    )


def _last(lines: Mapping[str, str], name: str) -> int:
    numbers = lines.get(name, "").split()
    return int(numbers[-1]) if len(numbers) > 1 else 0


def _effective(lines: Mapping[str, str], name: str) -> int:
    return int(lines[name].split()[1])
