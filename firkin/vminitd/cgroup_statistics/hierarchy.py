"""Which control groups a container has."""

from __future__ import annotations

import os
import time
from typing import Protocol

from firkin.domain.statistics import (
    BlockDeviceStatistics,
    ContainerStatistics,
    CpuStatistics,
    MemoryEvents,
    MemoryStatistics,
    ProcessStatistics,
)

from .hybrid import HybridGroup
from .interfaces import read_interfaces
from .version1 import Version1Group
from .version2 import Version2Group

CGROUP_ROOT = "/sys/fs/cgroup"
_CONTROLLERS = ("cpu", "cpuacct", "memory", "pids", "blkio")


class Group(Protocol):
    """What a container's control groups tell, whichever version they are."""

    def cpu(self) -> CpuStatistics:
        """Processor time."""
        ...

    def memory(self) -> MemoryStatistics:
        """Memory."""
        ...

    def memory_events(self) -> MemoryEvents:
        """How often memory ran short."""
        ...

    def processes(self) -> ProcessStatistics:
        """Processes and threads."""
        ...

    def block_devices(self) -> tuple[BlockDeviceStatistics, ...]:
        """Block devices."""
        ...

    def process_files(self) -> tuple[str, ...]:
        """Where the ids of its processes are listed."""
        ...


def group_of(cgroups_path: str, root: str = CGROUP_ROOT) -> Group:
    """The control groups at `cgroups_path` of the hierarchies that are mounted at `root`."""
    path = cgroups_path.lstrip("/")
    if os.path.exists(f"{root}/cgroup.controllers"):
        return Version2Group(f"{root}/{path}")
    # cpu and cpuacct often share a hierarchy, which then has a symlink for each name.
    candidates = {name: f"{root}/{name}/{path}" for name in _CONTROLLERS}
    first = Version1Group({name: os.path.realpath(one) for name, one in candidates.items() if os.path.isdir(one)})
    unified = f"{root}/unified/{path}"
    return HybridGroup(first, Version2Group(unified)) if os.path.isdir(unified) else first


def read_statistics(container_id: str, cgroups_path: str, root: str = CGROUP_ROOT) -> ContainerStatistics:
    """Everything that the machine tells of a container, at this moment."""
    group = group_of(cgroups_path, root)
    return ContainerStatistics(
        container_id,
        time.time(),
        group.cpu(),
        group.memory(),
        group.memory_events(),
        group.processes(),
        group.block_devices(),
        read_interfaces(),
    )
