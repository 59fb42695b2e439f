"""What containers use. Whatever the machine does not tell is None, never 0."""

from __future__ import annotations

import msgspec


class CpuStatistics(msgspec.Struct, frozen=True):
    """Processor time, in microseconds.

    Attributes:
        usage_usec, user_usec, system_usec: used so far, by all processes together.
        periods, throttled_periods: how often the limit was watched, and how often it was reached.
        throttled_usec: how long processes waited because of it.
    """

    usage_usec: int | None = None
    user_usec: int | None = None
    system_usec: int | None = None
    periods: int | None = None
    throttled_periods: int | None = None
    throttled_usec: int | None = None


class MemoryStatistics(msgspec.Struct, frozen=True):
    """Memory, in bytes, and counts of faults and of pages that the kernel took back (cgroup-v2, memory.stat).

    Attributes:
        limit_bytes, swap_limit_bytes: None also when there is no limit.
    """

    usage_bytes: int | None = None
    limit_bytes: int | None = None
    swap_usage_bytes: int | None = None
    swap_limit_bytes: int | None = None
    cache_bytes: int | None = None
    anonymous_bytes: int | None = None
    inactive_file_bytes: int | None = None
    kernel_stack_bytes: int | None = None
    slab_bytes: int | None = None
    page_faults: int | None = None
    major_page_faults: int | None = None
    workingset_refault_anon: int | None = None
    workingset_refault_file: int | None = None
    pgsteal_kswapd: int | None = None
    pgsteal_direct: int | None = None
    pgsteal_khugepaged: int | None = None


class MemoryEvents(msgspec.Struct, frozen=True):
    """How often memory ran short since the container was made.

    Attributes:
        low, high, max: how often that boundary was reached.
        oom: how often an allocation failed for good.
        oom_kill: processes that the kernel killed for it.
        oom_group_kill: how often it killed the whole container.
    """

    low: int | None = None
    high: int | None = None
    max: int | None = None
    oom: int | None = None
    oom_kill: int | None = None
    oom_group_kill: int | None = None


class ProcessStatistics(msgspec.Struct, frozen=True):
    """Processes and threads; `limit` is None also when there is none."""

    current: int | None = None
    limit: int | None = None


class BlockDeviceStatistics(msgspec.Struct, frozen=True):
    """What was read from and written to one block device."""

    major: int
    minor: int
    read_bytes: int | None = None
    write_bytes: int | None = None
    read_operations: int | None = None
    write_operations: int | None = None


class InterfaceStatistics(msgspec.Struct, frozen=True):
    """What came in and went out through one network interface of the sandbox, which its containers share."""

    name: str
    received_bytes: int
    transmitted_bytes: int
    received_packets: int
    transmitted_packets: int
    received_errors: int
    transmitted_errors: int


class ContainerStatistics(msgspec.Struct, frozen=True):
    """What one container uses, at one moment.

    Attributes:
        taken_unix_seconds: when it was read; 0.0 when the agent does not say.
    """

    container_id: str
    taken_unix_seconds: float = 0.0
    cpu: CpuStatistics = CpuStatistics()
    memory: MemoryStatistics = MemoryStatistics()
    memory_events: MemoryEvents = MemoryEvents()
    processes: ProcessStatistics = ProcessStatistics()
    block_devices: tuple[BlockDeviceStatistics, ...] = ()
    interfaces: tuple[InterfaceStatistics, ...] = ()


class ProcessEntry(msgspec.Struct, frozen=True):
    """One process of a container.

    Attributes:
        pid: in the sandbox's process namespace.
        container_pid: in the container's own; 0 when that cannot be told.
        parent_pid: in the sandbox's process namespace.
        uid, gid: effective.
        command: its arguments; its name in brackets when it has none.
        started_unix_seconds: when it started.
        state: one letter, as proc_pid_stat(5) has it.
        resident_bytes: memory that is resident.
        cpu_seconds: processor time, user and system.
        threads: how many it has.
    """

    pid: int
    container_pid: int
    parent_pid: int
    uid: int
    gid: int
    command: tuple[str, ...]
    started_unix_seconds: float
    state: str
    resident_bytes: int
    cpu_seconds: float
    threads: int


class UsedSpace(msgspec.Struct, frozen=True):
    """What files take.

    Attributes:
        bytes: on the disk, or in memory; a file with several names counts once.
        inodes: files, directories and links.
        is_complete: False when there was too much to count: then there is more.
    """

    bytes: int = 0
    inodes: int = 0
    is_complete: bool = True


class StoreBreakdown(msgspec.Struct, frozen=True):
    """What takes a store's space.

    Attributes:
        templates: all of the store's, which pods share.
        containers: what each container of this pod wrote, by id.
        volumes: this pod's emptyDirs, by name; those in memory take memory instead.
    """

    templates: UsedSpace
    containers: dict[str, UsedSpace]
    volumes: dict[str, UsedSpace]
