"""What a namespace sandbox enforces on this machine; found out by looking only."""

from __future__ import annotations

import os
from pathlib import Path

from firkin.domain.reports import Capabilities, Capability, Promise

from .cgroups import WANTED, hierarchies


def capabilities() -> Capabilities:
    """Every promise, in the order of a report."""
    controllers = frozenset().union(*(tree.usable_controllers() for tree in hierarchies()))
    isolation = [
        Capability("process isolation", Promise.ENFORCED),
        Capability("network isolation", Promise.ENFORCED, "loopback only"),
        Capability("kernel isolation", Promise.UNAVAILABLE, "containers share the host's kernel"),
        _seccomp(),
    ]
    limits = [_limit(controller, controllers) for controller in WANTED]
    stores = [
        Capability("memory emptyDir size limit", Promise.ENFORCED, "by its tmpfs"),
        Capability("disk emptyDir size limit", Promise.UNAVAILABLE, "the pod store has no quotas"),
        Capability("store size limit", Promise.BEST_EFFORT, "enforced by an ext4 store, not by a directory store"),
        Capability("store trim", Promise.BEST_EFFORT, "an ext4 store gives blocks back, a directory has none to give"),
    ]
    return Capabilities("namespace", (*isolation, *limits, *stores))


def _limit(controller: str, controllers: frozenset[str]) -> Capability:
    name = f"{controller} limit"
    if os.geteuid() != 0:
        return Capability(name, Promise.UNAVAILABLE, "control groups need root")
    if controller not in controllers:
        return Capability(name, Promise.UNAVAILABLE, f"no {controller} control group can be made on this machine")
    return Capability(name, Promise.ENFORCED)


def _seccomp() -> Capability:
    if Path("/proc/sys/kernel/seccomp/actions_avail").exists():
        return Capability("seccomp", Promise.ENFORCED, "by the OCI runtime, when it is built with libseccomp")
    return Capability("seccomp", Promise.UNAVAILABLE, "the kernel has no seccomp filters")
