"""What a container uses: by its control groups and, where it has none, added up over its processes."""

from __future__ import annotations

from msgspec.structs import replace

from firkin.domain.statistics import ContainerStatistics, CpuStatistics, ProcessEntry

from .cgroup_statistics import read_statistics
from .cgroup_statistics.hierarchy import CGROUP_ROOT
from .process_list import container_processes

_MICROSECONDS = 1_000_000


def container_statistics(
    container_id: str, cgroups_path: str, rootfs: str, root: str = CGROUP_ROOT
) -> ContainerStatistics:
    """Everything that the machine tells of a container, at this moment."""
    read = read_statistics(container_id, cgroups_path, root)
    if None not in (read.cpu.usage_usec, read.memory.usage_bytes, read.processes.current):
        return read
    return _completed(read, container_processes(cgroups_path, rootfs, root))


def _completed(read: ContainerStatistics, processes: list[ProcessEntry]) -> ContainerStatistics:
    """Memory counts what is resident, so what processes share counts for each; time counts the living only."""
    if not processes:
        return read
    if read.cpu.usage_usec is None:
        read = replace(read, cpu=CpuStatistics(round(sum(one.cpu_seconds for one in processes) * _MICROSECONDS)))
    if read.memory.usage_bytes is None:
        resident_bytes = sum(one.resident_bytes for one in processes)
        read = replace(read, memory=replace(read.memory, usage_bytes=resident_bytes))
    if read.processes.current is None:
        threads = sum(one.threads for one in processes)
        read = replace(read, processes=replace(read.processes, current=threads))
    return read
