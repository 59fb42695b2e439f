"""What containers use, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from firkin.domain.statistics import ContainerStatistics

HEADER = ("POD", "CONTAINER", "CPU %", "MEMORY", "LIMIT", "NETWORK IN/OUT", "DISK R/W", "PIDS")
_UNKNOWN = "-"


def usage_row(pod: str, before: ContainerStatistics | None, now: ContainerStatistics) -> tuple[str, ...]:
    """One line of the table below HEADER."""
    percent = cpu_percent(before, now)
    memory = now.memory
    used = None if memory.usage_bytes is None else memory.usage_bytes - (memory.inactive_file_bytes or 0)
    received = sum(one.received_bytes for one in now.interfaces) if now.interfaces else None
    sent = sum(one.transmitted_bytes for one in now.interfaces) if now.interfaces else None
    read = sum(one.read_bytes or 0 for one in now.block_devices) if now.block_devices else None
    written = sum(one.write_bytes or 0 for one in now.block_devices) if now.block_devices else None
    return (
        pod,
        now.container_id,
        _UNKNOWN if percent is None else f"{percent:.2f}",
        _size(None if used is None else max(used, 0)),
        _size(memory.limit_bytes),
        f"{_size(received)} / {_size(sent)}",
        f"{_size(read)} / {_size(written)}",
        _UNKNOWN if now.processes.current is None else str(now.processes.current),
    )


def cpu_percent(before: ContainerStatistics | None, now: ContainerStatistics) -> float | None:
    """Of one processor, between two looks; None when that cannot be told."""
    if before is None or before.cpu.usage_usec is None or now.cpu.usage_usec is None:
        return None
    seconds = now.taken_unix_seconds - before.taken_unix_seconds
    if seconds <= 0:
        return None
    return max(now.cpu.usage_usec - before.cpu.usage_usec, 0) / 1e6 / seconds * 100


def _size(count: int | None) -> str:
    from firkin.domain.size import Size

    return _UNKNOWN if count is None else str(Size(count))
