"""Statistics as messages of both services."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec

from firkin.domain.statistics import ContainerStatistics, ProcessEntry, StoreBreakdown, UsedSpace
from firkin.wire import agent_pb2 as agent_wire
from firkin.wire import sandbox_context_pb2 as context_wire

_NO_LIMIT = 2**64 - 1
_MICROSECONDS = 1_000_000
_SAME_NAMES: Mapping[str, str] = {}
_CPU_NAMES = {"periods": "throttling_periods", "throttled_usec": "throttled_time_usec"}
_MEMORY_NAMES = {"inactive_file_bytes": "inactive_file", "anonymous_bytes": "anon"}


def statistics_message(statistics: ContainerStatistics) -> agent_wire.ContainerStatistics:
    """For firkin.agent.v1: the fields have the names of the domain's, and what is not known is absent."""
    return agent_wire.ContainerStatistics(
        container_id=statistics.container_id,
        taken_usec=int(statistics.taken_unix_seconds * _MICROSECONDS),
        cpu=agent_wire.CpuStatistics(**_known(statistics.cpu)),
        memory=agent_wire.MemoryStatistics(**_known(statistics.memory)),
        memory_events=agent_wire.MemoryEvents(**_known(statistics.memory_events)),
        processes=agent_wire.ProcessStatistics(**_known(statistics.processes)),
        block_devices=[agent_wire.BlockDeviceStatistics(**_known(one)) for one in statistics.block_devices],
        interfaces=[
            agent_wire.InterfaceStatistics(
                name=one.name,
                received_bytes=one.received_bytes,
                transmitted_bytes=one.transmitted_bytes,
                received_packets=one.received_packets,
                transmitted_packets=one.transmitted_packets,
                received_errors=one.received_errors,
                transmitted_errors=one.transmitted_errors,
            )
            for one in statistics.interfaces
        ],
    )


def process_message(process: ProcessEntry) -> agent_wire.ProcessEntry:
    """For firkin.agent.v1."""
    return agent_wire.ProcessEntry(
        pid=process.pid,
        container_pid=process.container_pid,
        parent_pid=process.parent_pid,
        uid=process.uid,
        gid=process.gid,
        command=process.command,
        started_usec=int(process.started_unix_seconds * _MICROSECONDS),
        state=process.state,
        resident_bytes=process.resident_bytes,
        cpu_usec=int(process.cpu_seconds * _MICROSECONDS),
        threads=process.threads,
    )


def breakdown_message(breakdown: StoreBreakdown) -> agent_wire.StoreUsageResponse:
    """For firkin.agent.v1."""
    return agent_wire.StoreUsageResponse(
        templates=_space_message(breakdown.templates),
        containers={name: _space_message(space) for name, space in breakdown.containers.items()},
        volumes={name: _space_message(space) for name, space in breakdown.volumes.items()},
    )


def context_statistics_message(
    statistics: ContainerStatistics, categories: Collection[int]
) -> context_wire.ContainerStats:
    """For SandboxContext: what is not known is 0, no limit is the largest number; no categories are all."""
    message = context_wire.ContainerStats(container_id=statistics.container_id)

    def wants(category: int) -> bool:
        return not categories or category in categories

    if wants(context_wire.STAT_CATEGORY_PROCESS):
        message.process.current = statistics.processes.current or 0
        message.process.limit = _limit(statistics.processes.current, statistics.processes.limit)
    if wants(context_wire.STAT_CATEGORY_MEMORY):
        message.memory.CopyFrom(_memory_message(statistics))
    if wants(context_wire.STAT_CATEGORY_CPU):
        message.cpu.CopyFrom(context_wire.CPUStats(**_known(statistics.cpu, _CPU_NAMES)))
    if wants(context_wire.STAT_CATEGORY_BLOCK_IO):
        devices = [context_wire.BlockIOEntry(**_known(one)) for one in statistics.block_devices]
        message.block_io.CopyFrom(context_wire.BlockIOStats(devices=devices))
    if wants(context_wire.STAT_CATEGORY_NETWORK):
        for one in statistics.interfaces:
            message.networks.add(
                interface=one.name,
                receivedPackets=one.received_packets,
                transmittedPackets=one.transmitted_packets,
                receivedBytes=one.received_bytes,
                transmittedBytes=one.transmitted_bytes,
                receivedErrors=one.received_errors,
                transmittedErrors=one.transmitted_errors,
            )
    if wants(context_wire.STAT_CATEGORY_MEMORY_EVENTS):
        # Other agents never set `oom_group_kill`; that is a defect.
        message.memory_events.CopyFrom(context_wire.MemoryEventStats(**_known(statistics.memory_events)))
    return message


def _memory_message(statistics: ContainerStatistics) -> context_wire.MemoryStats:
    memory = statistics.memory
    message = context_wire.MemoryStats(**_known(memory, _MEMORY_NAMES))
    message.limit_bytes = _limit(memory.usage_bytes, memory.limit_bytes)
    message.swap_limit_bytes = _limit(memory.swap_usage_bytes, memory.swap_limit_bytes)
    return message


def _limit(usage: int | None, limit: int | None) -> int:
    """The limit of something whose usage is told; what is not told at all is 0."""
    return limit if limit is not None else 0 if usage is None else _NO_LIMIT


def _space_message(space: UsedSpace) -> agent_wire.UsedSpace:
    return agent_wire.UsedSpace(bytes=space.bytes, inodes=space.inodes, is_complete=space.is_complete)


def _known(statistics: msgspec.Struct, other_names: Mapping[str, str] = _SAME_NAMES) -> dict[str, int]:
    """The numbers of a struct, by the wire's names, without those that are not known."""
    values = msgspec.structs.asdict(statistics)
    return {other_names.get(name, name): value for name, value in values.items() if value is not None}
