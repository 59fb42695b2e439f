"""The trees of control groups of this machine, of version 1 or 2, and where groups can be made in them (cgroups(7))."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from firkin.domain import control_groups

WANTED = ("cpu", "memory", "pids")


class Hierarchy(msgspec.Struct, frozen=True):
    """A mounted tree of control groups.

    Attributes:
        version: 1 or 2.
        controllers: what it limits: of version 2 those that a new group below `parent` gets.
        parent: the directory below which a sandbox's group is made.
    """

    version: int
    controllers: frozenset[str]
    parent: Path

    def usable_controllers(self) -> frozenset[str]:
        """The controllers, or none when no group can be made here."""
        return self.controllers if os.access(self.parent, os.W_OK) else frozenset()


def hierarchies() -> list[Hierarchy]:
    """The hierarchies a sandbox takes part in: that of version 2 alone, or all of version 1.

    In hybrid mode the version 2 tree has no controllers, and sandboxes leave it alone.
    """
    try:
        own = dict(_own_groups())
    except FileNotFoundError:  # a kernel without control groups
        return []
    mounts = list(cgroup_mounts())
    version1 = [
        Hierarchy(1, frozenset(key.split(",")), _below(mount, own[key]))
        for mount in mounts
        if mount.version == 1 and (key := _matching(mount, own)) is not None
    ]
    if version1:
        return version1
    return [_version2(mount, own[""]) for mount in mounts if mount.version == 2 and "" in own][:1]


class _CgroupMount(msgspec.Struct, frozen=True):
    version: int
    root: str
    point: Path
    options: frozenset[str]


def cgroup_mounts() -> Iterator[_CgroupMount]:
    """Mounts of cgroup filesystems that are not hidden below another mount (proc(5), mountinfo)."""
    pure = not Path("/sys/fs/cgroup/unified").exists() and Path("/sys/fs/cgroup/cgroup.controllers").exists()
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        head, _, tail = line.partition(" - ")
        kind, _, options = tail.split(" ", 2)
        if kind not in ("cgroup", "cgroup2") or (pure and kind == "cgroup"):
            continue
        fields = head.split(" ")
        yield _CgroupMount(
            1 if kind == "cgroup" else 2, unescaped(fields[3]), Path(unescaped(fields[4])), _words(options)
        )


def _words(options: str) -> frozenset[str]:
    return frozenset(options.rpartition(" ")[2].split(","))


def unescaped(text: str) -> str:
    """A path as proc(5) writes it, with blanks and the like in octal."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)


def _own_groups() -> Iterator[tuple[str, str]]:
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        yield controllers, path


def _matching(mount: _CgroupMount, own: dict[str, str]) -> str | None:
    return next((key for key in own if key and set(key.split(",")) <= mount.options), None)


def _below(mount: _CgroupMount, group: str) -> Path:
    """Where the caller's own group is found in the mount, which may show a part of the tree only."""
    inside = group.removeprefix(mount.root) if mount.root != "/" else group
    path = mount.point / inside.strip("/")
    return path if ".." not in path.parts and path.is_dir() else mount.point


def _version2(mount: _CgroupMount, own: str) -> Hierarchy:
    """Choose the nearest group, from the caller's own upwards, that can hand controllers to a new group.

    A group with processes in it cannot (the no-internal-process rule), unless it does already or is the true root.
    An ordinary user owns only what was delegated to him.
    """
    here = _below(mount, own)
    for candidate in (here, *here.parents):
        available = listed(candidate / "cgroup.controllers") & set(WANTED)
        given = listed(candidate / "cgroup.subtree_control") & set(WANTED)
        if available and (given == available or _can_delegate(candidate)) and _is_own(candidate):
            return Hierarchy(2, frozenset(available), candidate)
        if candidate == mount.point:
            break
    return Hierarchy(2, frozenset(listed(here / "cgroup.subtree_control")), here)


def listed(path: Path) -> set[str]:
    try:
        return set(path.read_text().split())
    except OSError:
        return set()


def _can_delegate(group: Path) -> bool:
    is_true_root = not (group / "cgroup.type").exists()
    return is_true_root or not (group / "cgroup.procs").read_text()


def _is_own(group: Path) -> bool:
    """True when groups can be made below, and processes be moved from anywhere below to them."""
    return all(os.access(path, os.W_OK) for path in (group, group / "cgroup.procs", group / "cgroup.subtree_control"))


def missing_controller(controller: str) -> str:
    """Why no control group of this controller can be made by this user."""
    return control_groups.missing_controller(controller, is_root=os.geteuid() == 0)
