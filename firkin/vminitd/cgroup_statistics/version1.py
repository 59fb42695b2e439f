"""Control groups of version 1 (admin-guide/cgroup-v1): a hierarchy for each controller."""

from __future__ import annotations

import os
from collections.abc import Mapping

from firkin.domain.statistics import (
    BlockDeviceStatistics,
    CpuStatistics,
    MemoryEvents,
    MemoryStatistics,
    ProcessStatistics,
)

from .control_files import device_lines, read_number, read_pairs, read_text

_NANOSECONDS = 1000
# Without a limit the kernel tells the largest multiple of a page below 2**63.
_NO_LIMIT_FROM = 2**62


class Version1Group:
    """The groups of one container in the hierarchies that there are."""

    def __init__(self, directories: Mapping[str, str]) -> None:
        """`directories`: the container's group by controller."""
        self._directories = directories

    def _of(self, controller: str) -> str:
        return self._directories.get(controller, "/nonexistent")

    def cpu(self) -> CpuStatistics:
        """cpuacct.* and cpu.stat."""
        used = read_number(self._of("cpuacct"), "cpuacct.usage")
        ticks = read_pairs(self._of("cpuacct"), "cpuacct.stat")
        limited = read_pairs(self._of("cpu"), "cpu.stat")
        throttled = limited.get("throttled_time")
        return CpuStatistics(
            None if used is None else used // _NANOSECONDS,
            _microseconds(ticks.get("user")),
            _microseconds(ticks.get("system")),
            limited.get("nr_periods"),
            limited.get("nr_throttled"),
            None if throttled is None else throttled // _NANOSECONDS,
        )

    def memory(self) -> MemoryStatistics:
        """memory.*; what memory.stat tells of the groups below as well is taken."""
        directory = self._of("memory")
        pairs = read_pairs(directory, "memory.stat")
        usage, limit = read_number(directory, "memory.usage_in_bytes"), _limit(directory, "memory.limit_in_bytes")
        both, both_limit = (
            read_number(directory, "memory.memsw.usage_in_bytes"),
            _limit(directory, "memory.memsw.limit_in_bytes"),
        )

        def total(name: str) -> int | None:
            return pairs.get(f"total_{name}", pairs.get(name))

        return MemoryStatistics(
            usage_bytes=usage,
            limit_bytes=limit,
            swap_usage_bytes=total("swap") if both is None or usage is None else max(both - usage, 0),
            swap_limit_bytes=None if both_limit is None or limit is None else max(both_limit - limit, 0),
            cache_bytes=total("cache"),
            anonymous_bytes=total("rss"),
            inactive_file_bytes=total("inactive_file"),
            kernel_stack_bytes=total("kernel_stack"),
            slab_bytes=total("slab"),
            page_faults=total("pgfault"),
            major_page_faults=total("pgmajfault"),
            workingset_refault_anon=total("workingset_refault_anon"),
            workingset_refault_file=total("workingset_refault_file"),
            pgsteal_kswapd=total("pgsteal_kswapd"),
            pgsteal_direct=total("pgsteal_direct"),
            pgsteal_khugepaged=total("pgsteal_khugepaged"),
        )

    def memory_events(self) -> MemoryEvents:
        """memory.*failcnt and memory.oom_control; the rest is not counted in this version."""
        directory = self._of("memory")
        # Where no swap is allowed beside memory, both limits are the same, and it is the second one that is reached.
        failures = [read_number(directory, name) for name in ("memory.failcnt", "memory.memsw.failcnt")]
        told = [count for count in failures if count is not None]
        return MemoryEvents(
            max=sum(told) if told else None,
            oom_kill=read_pairs(directory, "memory.oom_control").get("oom_kill"),
        )

    def processes(self) -> ProcessStatistics:
        """pids.*."""
        directory = self._of("pids")
        return ProcessStatistics(read_number(directory, "pids.current"), read_number(directory, "pids.max"))

    def block_devices(self) -> tuple[BlockDeviceStatistics, ...]:
        """blkio.throttle.*, which count with every scheduler."""
        sizes = self._operations("blkio.throttle.io_service_bytes")
        counts = self._operations("blkio.throttle.io_serviced")
        return tuple(
            BlockDeviceStatistics(
                *device,
                sizes.get(device, {}).get("Read"),
                sizes.get(device, {}).get("Write"),
                counts.get(device, {}).get("Read"),
                counts.get(device, {}).get("Write"),
            )
            for device in sorted({*sizes, *counts})
        )

    def _operations(self, name: str) -> Mapping[tuple[int, int], Mapping[str, int]]:
        directory = self._of("blkio")
        text = read_text(directory, f"{name}_recursive") or read_text(directory, name)
        found: dict[tuple[int, int], dict[str, int]] = {}
        for major, minor, fields in device_lines(text):
            if len(fields) == 2 and fields[1].isdigit():
                found.setdefault((major, minor), {})[fields[0]] = int(fields[1])
        return found

    def process_files(self) -> tuple[str, ...]:
        """Where the ids of its processes are listed: every hierarchy has them."""
        return tuple(f"{directory}/cgroup.procs" for directory in dict.fromkeys(self._directories.values()))


def _microseconds(ticks: int | None) -> int | None:
    return None if ticks is None else ticks * 1_000_000 // os.sysconf("SC_CLK_TCK")


def _limit(directory: str, name: str) -> int | None:
    limit = read_number(directory, name)
    return None if limit is None or limit >= _NO_LIMIT_FROM else limit
