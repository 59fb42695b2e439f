"""A sandbox's control groups, of version 1 or 2, as far as this machine lets them be made (cgroups(7))."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
from pathlib import Path

from firkin.domain.container_spec import ResourceLimits
from firkin.domain.errors import UnsupportedFeature
from firkin.domain.vm_config import VmConfig

from .hierarchies import Hierarchy, cgroup_mounts, listed, missing_controller

_PERIOD_MICROSECONDS = 100_000
_QUOTA_MINIMUM_MICROSECONDS = 1_000  # the kernel takes no less
_MEMORY_FILES = {1: "memory.limit_in_bytes", 2: "memory.max"}
_CPU_FILES = {1: "cpu.cfs_quota_us", 2: "cpu.max"}
_PIDS_FILES = {1: "pids.max", 2: "pids.max"}
# Below a sandbox's group, that of all its containers: the agent gives them /container/<id>.
_CONTAINERS = "container"
_REMOVAL_ATTEMPTS = 400
_REMOVAL_PAUSE_SECONDS = 0.005


class SandboxCgroups:
    """One sandbox's group in every hierarchy where one could be made."""

    def __init__(self, name: str, trees: list[Hierarchy]) -> None:
        self.groups = [(tree, tree.parent / name) for tree in trees]
        self.version = trees[0].version if trees else 0

    def make(self) -> None:
        """Make the groups; where the machine refuses, the sandbox does without."""
        made = []
        for tree, group in self.groups:
            try:
                self._make(tree, group)
            except OSError:
                _removed(group)
            else:
                made.append((tree, group))
        self.groups = made

    @staticmethod
    def _make(tree: Hierarchy, group: Path) -> None:
        if not os.access(tree.parent / "cgroup.procs", os.W_OK):
            raise PermissionError("nothing may be moved to a group below")
        if tree.version == 2:
            for controller in tree.controllers - listed(tree.parent / "cgroup.subtree_control"):
                (tree.parent / "cgroup.subtree_control").write_text(f"+{controller}")
        group.mkdir()
        if tree.version == 2:
            (group / "init").mkdir()
        if "cpuset" in tree.controllers and tree.version == 1:
            # A new cpuset is empty, and no process may join an empty one.
            for setting in ("cpuset.cpus", "cpuset.mems"):
                (group / setting).write_text((tree.parent / setting).read_text())

    @property
    def join_files(self) -> list[Path]:
        """Writing "0" to each moves the writer into the groups."""
        return [group / "cgroup.procs" for _, group in self.groups]

    @property
    def init_join_files(self) -> list[Path]:
        """Of version 2, the inner group for the sandbox's own processes; see `join_files`."""
        return [group / "init" / "cgroup.procs" for tree, group in self.groups if tree.version == 2]

    def limit(self, config: VmConfig) -> None:
        """Hold the sandbox to the processors and memory of its config.

        Raises:
            UnsupportedFeature: a controller is missing, or the kernel refused the value.
        """
        self._limit(ResourceLimits(config.memory, config.cpus), ".", "vm_config")

    def limit_containers(self, limits: ResourceLimits) -> None:
        """Hold all containers together to limits; the agent, which is beside their group, does not count.

        Raises:
            UnsupportedFeature: a controller is missing, or the kernel refused the value.
        """
        if limits != ResourceLimits():
            self._limit(limits, _CONTAINERS, "pod limits")

    def _limit(self, limits: ResourceLimits, below: str, feature: str) -> None:
        if limits.memory_bytes is not None:
            value = str(int(limits.memory_bytes))
            group = self._set("memory", _MEMORY_FILES, value, below, f"{feature}.memory")
            self._limit_swap(group, value)
        if limits.cpus is not None:
            quota = max(round(limits.cpus * _PERIOD_MICROSECONDS), _QUOTA_MINIMUM_MICROSECONDS)
            value = str(quota) if self.version == 1 else f"{quota} {_PERIOD_MICROSECONDS}"
            self._set("cpu", _CPU_FILES, value, below, f"{feature}.cpus")
        if limits.pids is not None:
            self._set("pids", _PIDS_FILES, str(limits.pids), below, f"{feature}.pids")

    def _set(self, controller: str, files: dict[int, str], value: str, below: str, feature: str) -> Path:
        top = self._group(controller)
        if top is None:
            raise UnsupportedFeature(feature, missing_controller(controller))
        group = top / below
        try:
            if self.version == 2 and group != top:
                (top / "cgroup.subtree_control").write_text(f"+{controller}")
            group.mkdir(exist_ok=True)
            (group / files[self.version]).write_text(value)
        except OSError as error:
            raise UnsupportedFeature(
                feature, f"the {controller} control group refused {value!r}: {error.strerror}"
            ) from error
        return group

    def _limit_swap(self, group: Path, value: str) -> None:
        """Memory means memory: swapping would let a sandbox have more. A kernel may lack swap accounting."""
        file, swap = ("memory.memsw.limit_in_bytes", value) if self.version == 1 else ("memory.swap.max", "0")
        if (group / file).exists():
            with contextlib.suppress(OSError):
                (group / file).write_text(swap)

    def _group(self, controller: str) -> Path | None:
        return next((group for tree, group in self.groups if controller in tree.controllers), None)

    def out_of_memory_kills(self) -> int:
        """How many processes of the sandbox the kernel has killed for want of memory."""
        group = self._group("memory")
        if group is None:
            return 0
        file = group / ("memory.oom_control" if self.version == 1 else "memory.events")
        try:
            found = re.search(r"^oom_kill (\d+)$", file.read_text(), re.MULTILINE)
        except OSError:
            return 0
        return int(found[1]) if found else 0

    async def remove(self) -> list[Path]:
        """Remove the groups with all below them, ending what still runs there; returns those that stay."""
        left = [group for _, group in self.groups]
        for _ in range(_REMOVAL_ATTEMPTS):
            left = [group for group in left if not _removed(group)]
            if not left:
                break
            for group in left:
                _kill_all(group)
            await asyncio.sleep(_REMOVAL_PAUSE_SECONDS)
        return left


def remove_abandoned(name: str) -> bool:
    """Remove the groups of a sandbox whose owner died, below whatever group that was; False while something runs."""
    return not [group for group in group_directories(name) if not _removed(group)]


def group_name(directory: Path) -> str:
    """What the groups of the sandbox with this socket directory are called."""
    return f"firkin-{directory.name}"


def group_directories(name: str) -> list[Path]:
    """The groups of a sandbox, below whatever groups they were made."""
    points = {mount.point for mount in cgroup_mounts()}
    return [Path(outer, name) for point in points for outer, inner, _ in os.walk(point) if name in inner]


def kill_groups(name: str) -> None:
    """Kill whatever runs in the groups of a sandbox."""
    for group in group_directories(name):
        _kill_all(group)


def _removed(group: Path) -> bool:
    """Remove a group and those below it, the deepest first; False when one of them is busy."""
    try:
        for directory, _, _ in os.walk(group, topdown=False):
            os.rmdir(directory)
    except FileNotFoundError:
        return _removed(group) if group.exists() else True
    except OSError:
        return False
    return True


def _kill_all(group: Path) -> None:
    with contextlib.suppress(OSError):
        # Also reaches the processes of a user namespace, whose ids the caller may not signal.
        (group / "cgroup.kill").write_text("1")
    for directory, _, _ in os.walk(group):
        with contextlib.suppress(OSError):
            # 0 stands for a process of a namespace that cannot be seen from here; to kill(2) it is the caller's group.
            for pid in {*Path(directory, "cgroup.procs").read_text().split()} - {"0"}:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
