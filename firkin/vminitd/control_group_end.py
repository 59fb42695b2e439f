"""Killing every process of a control group, of either version (cgroups(7))."""

from __future__ import annotations

import contextlib
import glob
import os
import signal

_CGROUP_ROOT = "/sys/fs/cgroup"
_ROUNDS = 200


def kill_control_group(path: str) -> None:
    """Kill what runs in a container's control group, also what it starts meanwhile, as far as that can be won."""
    with contextlib.suppress(OSError), open(f"{_CGROUP_ROOT}{path}/cgroup.kill", "w") as kill:
        kill.write("1")
        return
    lists = [f"{_CGROUP_ROOT}{path}/cgroup.procs", *glob.glob(f"{_CGROUP_ROOT}/*{glob.escape(path)}/cgroup.procs")]
    for _ in range(_ROUNDS):
        pids = {pid for file in lists for pid in _pids(file)} - {os.getpid()}
        if not pids:
            return
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _pids(file: str) -> set[int]:
    # 0 stands for a process of a namespace that cannot be seen from here.
    try:
        with open(file) as lines:
            return {int(line) for line in lines} - {0}
    except OSError:
        return set()
