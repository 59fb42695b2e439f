"""Leaving the disks of a virtual machine whole, before it is switched off."""

from __future__ import annotations

import contextlib
import os
import signal
import time

from firkin.domain.layout import POD_STORE_MOUNT

from .filesystem import mounts

_PROCESSES_END_SECONDS = 1.0
_INTERVAL_SECONDS = 0.005


def leave_store() -> None:
    """End every process but this one, and unmount the pod store with all that is mounted below it.

    After a pod that was stopped in order nothing is mounted any more. Takes a second for processes that do not end,
    and one more for a mount that stays in use.

    Raises:
        AgentError: something is still in use; the store's journal has what it needs.
    """
    _end_processes()
    for point in mounts.mounts_below(POD_STORE_MOUNT):
        mounts.unmount(point, mounts.UMOUNT_NOFOLLOW)
    if mounts.is_mount_point(POD_STORE_MOUNT):
        mounts.unmount(POD_STORE_MOUNT, mounts.UMOUNT_NOFOLLOW)


def _end_processes() -> None:
    """Kill them, since who writes keeps a filesystem in use, and reap them: all of them are an init's in the end."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)
    deadline = time.monotonic() + _PROCESSES_END_SECONDS
    while time.monotonic() < deadline:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            time.sleep(_INTERVAL_SECONDS)
