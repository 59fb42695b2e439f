"""Which processes are a container's, where no control group tells: those whose root directory is on its rootfs."""

from __future__ import annotations

import contextlib
import os
import signal

_ROUNDS = 200


def processes_of_root(root: str) -> set[int]:
    """The processes whose root directory lies on the filesystem that is mounted at `root`, an overlay of its own."""
    try:
        device = os.stat(root).st_dev
        if device == os.stat(os.path.dirname(root)).st_dev:
            # A rootfs that is no mount shares its device with others.
            return set()
    except OSError:
        return set()
    return {pid for name in os.listdir("/proc") if name.isdigit() and _device_of_root(pid := int(name)) == device}


def kill_processes_of_root(root: str) -> None:
    """Kill these processes, also what they start meanwhile, as far as that can be won."""
    for _ in range(_ROUNDS):
        pids = processes_of_root(root) - {os.getpid()}
        if not pids:
            return
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _device_of_root(pid: int) -> int:
    try:
        return os.stat(f"/proc/{pid}/root").st_dev
    except OSError:
        return -1
