"""Control groups of version 2 (admin-guide/cgroup-v2)."""

from __future__ import annotations

from firkin.domain.statistics import (
    BlockDeviceStatistics,
    CpuStatistics,
    MemoryEvents,
    MemoryStatistics,
    ProcessStatistics,
)

from .control_files import device_lines, read_number, read_pairs, read_text


class Version2Group:
    """One group of the unified hierarchy."""

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def cpu(self) -> CpuStatistics:
        """cpu.stat."""
        pairs = read_pairs(self._directory, "cpu.stat")
        return CpuStatistics(
            pairs.get("usage_usec"),
            pairs.get("user_usec"),
            pairs.get("system_usec"),
            pairs.get("nr_periods"),
            pairs.get("nr_throttled"),
            pairs.get("throttled_usec"),
        )

    def memory(self) -> MemoryStatistics:
        """memory.*."""
        pairs = read_pairs(self._directory, "memory.stat")
        return MemoryStatistics(
            usage_bytes=read_number(self._directory, "memory.current"),
            limit_bytes=read_number(self._directory, "memory.max"),
            swap_usage_bytes=read_number(self._directory, "memory.swap.current"),
            swap_limit_bytes=read_number(self._directory, "memory.swap.max"),
            cache_bytes=pairs.get("file"),
            anonymous_bytes=pairs.get("anon"),
            inactive_file_bytes=pairs.get("inactive_file"),
            kernel_stack_bytes=pairs.get("kernel_stack"),
            slab_bytes=pairs.get("slab"),
            page_faults=pairs.get("pgfault"),
            major_page_faults=pairs.get("pgmajfault"),
            workingset_refault_anon=pairs.get("workingset_refault_anon"),
            workingset_refault_file=pairs.get("workingset_refault_file"),
            pgsteal_kswapd=pairs.get("pgsteal_kswapd"),
            pgsteal_direct=pairs.get("pgsteal_direct"),
            pgsteal_khugepaged=pairs.get("pgsteal_khugepaged"),
        )

    def memory_events(self) -> MemoryEvents:
        """memory.events."""
        pairs = read_pairs(self._directory, "memory.events")
        names = ("low", "high", "max", "oom", "oom_kill", "oom_group_kill")
        return MemoryEvents(*(pairs.get(name) for name in names))

    def processes(self) -> ProcessStatistics:
        """pids.*."""
        return ProcessStatistics(read_number(self._directory, "pids.current"), read_number(self._directory, "pids.max"))

    def block_devices(self) -> tuple[BlockDeviceStatistics, ...]:
        """io.stat."""
        devices = []
        for major, minor, fields in device_lines(read_text(self._directory, "io.stat")):
            pairs = dict(field.split("=", 1) for field in fields if "=" in field)
            numbers = {key: int(value) for key, value in pairs.items() if value.isdigit()}
            devices.append(
                BlockDeviceStatistics(major, minor, *(numbers.get(key) for key in ("rbytes", "wbytes", "rios", "wios")))
            )
        return tuple(devices)

    def process_files(self) -> tuple[str, ...]:
        """Where the ids of its processes are listed."""
        return (f"{self._directory}/cgroup.procs",)
