"""What a namespace sandbox enforces on this machine; found out by looking only."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from firkin.domain.host_paths import HOST_PATHS
from firkin.domain.reports import Capabilities, Capability, Promise

from .cgroups import WANTED, hierarchies

_LOOP_CONTROL = Path("/dev/loop-control")
_DISK_LIMIT = "disk emptyDir size limit"


def capabilities(search_path: str) -> Capabilities:
    """Every promise, in the order of a report; programs are looked up on `search_path`."""
    controllers = frozenset().union(*(tree.usable_controllers() for tree in hierarchies()))
    isolation = [
        Capability("process isolation", Promise.ENFORCED),
        Capability("network isolation", Promise.ENFORCED, "loopback only"),
        Capability("kernel isolation", Promise.UNAVAILABLE, "containers share the host's kernel"),
        _seccomp(),
    ]
    limits = [_limit(controller, controllers) for controller in WANTED]
    shown = [Capability(HOST_PATHS, Promise.ENFORCED, "those that the configuration allows, and nothing beside them")]
    stores = [
        Capability("memory emptyDir size limit", Promise.ENFORCED, "by its tmpfs"),
        _disk_limit(search_path),
        Capability("store size limit", Promise.BEST_EFFORT, "enforced by an ext4 store, not by a directory store"),
        Capability("store trim", Promise.BEST_EFFORT, "an ext4 store gives blocks back, a directory has none to give"),
    ]
    return Capabilities("namespace", (*isolation, *limits, *stores, *shown))


def _limit(controller: str, controllers: frozenset[str]) -> Capability:
    name = f"{controller} limit"
    if os.geteuid() != 0:
        return Capability(name, Promise.UNAVAILABLE, "control groups need root")
    if controller not in controllers:
        return Capability(name, Promise.UNAVAILABLE, f"no {controller} control group can be made on this machine")
    return Capability(name, Promise.ENFORCED)


def _disk_limit(search_path: str) -> Capability:
    if not os.access(_LOOP_CONTROL, os.R_OK | os.W_OK):
        return Capability(_DISK_LIMIT, Promise.UNAVAILABLE, f"{_LOOP_CONTROL} cannot be opened: no loop devices")
    if shutil.which("mke2fs", path=search_path) is None:
        return Capability(_DISK_LIMIT, Promise.UNAVAILABLE, "mke2fs is not installed: apt-get install e2fsprogs")
    return Capability(_DISK_LIMIT, Promise.ENFORCED, "by a filesystem image of its own")


def _seccomp() -> Capability:
    if Path("/proc/sys/kernel/seccomp/actions_avail").exists():
        return Capability("seccomp", Promise.ENFORCED, "by the OCI runtime, when it is built with libseccomp")
    return Capability("seccomp", Promise.UNAVAILABLE, "the kernel has no seccomp filters")
