"""Whether the sandbox has control groups of its own, and what they limit (cgroups(7))."""

from __future__ import annotations

import os

CGROUP_ROOT = "/sys/fs/cgroup"


def are_writable(root: str = CGROUP_ROOT) -> bool:
    """True when containers can have control groups: an ordinary user has some only where they were delegated."""
    groups = [root] if _is_version2(root) else [f"{root}/{name}" for name in _names(root)]
    return any(_is_own(group) for group in groups)


def usable_controllers(root: str = CGROUP_ROOT) -> frozenset[str]:
    """What the control groups of containers can limit."""
    if not _is_version2(root):
        return frozenset(name for name in _names(root) if _is_own(f"{root}/{name}"))
    if not _is_own(root):
        return frozenset()
    with open(f"{root}/cgroup.controllers", encoding="ascii") as file:
        return frozenset(file.read().split())


def _is_version2(root: str) -> bool:
    return os.path.exists(f"{root}/cgroup.controllers")


def _is_own(group: str) -> bool:
    return os.access(group, os.W_OK) and os.access(f"{group}/cgroup.procs", os.W_OK)


def _names(root: str) -> list[str]:
    return os.listdir(root) if os.path.isdir(root) else []
