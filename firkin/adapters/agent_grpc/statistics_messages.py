"""Statistics of both services as values of the domain."""

from __future__ import annotations

from firkin.domain.statistics import (
    BlockDeviceStatistics,
    ContainerStatistics,
    CpuStatistics,
    InterfaceStatistics,
    MemoryEvents,
    MemoryStatistics,
    ProcessEntry,
    ProcessStatistics,
    StoreBreakdown,
    UsedSpace,
)
from firkin.wire import agent_pb2 as agent_wire
from firkin.wire import sandbox_context_pb2 as context_wire

_MICROSECONDS = 1_000_000
_NO_LIMIT = 2**64 - 1

_Counted = (
    agent_wire.CpuStatistics
    | agent_wire.MemoryStatistics
    | agent_wire.MemoryEvents
    | agent_wire.ProcessStatistics
    | agent_wire.BlockDeviceStatistics
)


def container_statistics(message: agent_wire.ContainerStatistics) -> ContainerStatistics:
    """Read a message of firkin.agent.v1, whose fields have the names of the domain's."""
    return ContainerStatistics(
        message.container_id,
        message.taken_usec / _MICROSECONDS,
        CpuStatistics(**_present(message.cpu)),
        MemoryStatistics(**_present(message.memory)),
        MemoryEvents(**_present(message.memory_events)),
        ProcessStatistics(**_present(message.processes)),
        tuple(BlockDeviceStatistics(one.major, one.minor, *_operations(one)) for one in message.block_devices),
        tuple(
            InterfaceStatistics(
                one.name,
                one.received_bytes,
                one.transmitted_bytes,
                one.received_packets,
                one.transmitted_packets,
                one.received_errors,
                one.transmitted_errors,
            )
            for one in message.interfaces
        ),
    )


def _present(message: _Counted) -> dict[str, int]:
    """The fields that are there, by name."""
    return {field.name: value for field, value in message.ListFields()}


def _operations(message: agent_wire.BlockDeviceStatistics) -> tuple[int | None, ...]:
    present = _present(message)
    return tuple(present.get(name) for name in ("read_bytes", "write_bytes", "read_operations", "write_operations"))


def process_entry(message: agent_wire.ProcessEntry) -> ProcessEntry:
    """Read a message of firkin.agent.v1."""
    return ProcessEntry(
        message.pid,
        message.container_pid,
        message.parent_pid,
        message.uid,
        message.gid,
        tuple(message.command),
        message.started_usec / _MICROSECONDS,
        message.state,
        message.resident_bytes,
        message.cpu_usec / _MICROSECONDS,
        message.threads,
    )


def store_breakdown(message: agent_wire.StoreUsageResponse) -> StoreBreakdown:
    """Read a message of firkin.agent.v1."""
    return StoreBreakdown(
        _used_space(message.templates),
        {name: _used_space(space) for name, space in message.containers.items()},
        {name: _used_space(space) for name, space in message.volumes.items()},
    )


def _used_space(message: agent_wire.UsedSpace) -> UsedSpace:
    return UsedSpace(message.bytes, message.inodes, message.is_complete)


def context_statistics(message: context_wire.ContainerStats, taken_unix_seconds: float) -> ContainerStatistics:
    """Read a message of SandboxContext, which has 0 for what it does not know, and no time of its own."""
    cpu, memory, events = message.cpu, message.memory, message.memory_events
    return ContainerStatistics(
        message.container_id,
        taken_unix_seconds,
        CpuStatistics(
            cpu.usage_usec,
            cpu.user_usec,
            cpu.system_usec,
            cpu.throttling_periods,
            cpu.throttled_periods,
            cpu.throttled_time_usec,
        ),
        MemoryStatistics(
            memory.usage_bytes,
            _limit(memory.limit_bytes),
            memory.swap_usage_bytes,
            _limit(memory.swap_limit_bytes),
            memory.cache_bytes,
            memory.anon,
            memory.inactive_file,
            memory.kernel_stack_bytes,
            memory.slab_bytes,
            memory.page_faults,
            memory.major_page_faults,
            memory.workingset_refault_anon,
            memory.workingset_refault_file,
            memory.pgsteal_kswapd,
            memory.pgsteal_direct,
            memory.pgsteal_khugepaged,
        ),
        MemoryEvents(events.low, events.high, events.max, events.oom, events.oom_kill, events.oom_group_kill),
        ProcessStatistics(message.process.current, _limit(message.process.limit)),
        tuple(
            BlockDeviceStatistics(
                one.major, one.minor, one.read_bytes, one.write_bytes, one.read_operations, one.write_operations
            )
            for one in message.block_io.devices
        ),
        tuple(
            InterfaceStatistics(
                one.interface,
                one.receivedBytes,
                one.transmittedBytes,
                one.receivedPackets,
                one.transmittedPackets,
                one.receivedErrors,
                one.transmittedErrors,
            )
            for one in message.networks
        ),
    )


def _limit(value: int) -> int | None:
    return None if value in (0, _NO_LIMIT) else value
