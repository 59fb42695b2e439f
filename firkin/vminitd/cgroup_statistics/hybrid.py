"""Both versions at once: most controllers in version 1, the rest in the unified hierarchy beside them."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from firkin.domain.statistics import (
    BlockDeviceStatistics,
    CpuStatistics,
    MemoryEvents,
    MemoryStatistics,
    ProcessStatistics,
)

from .version1 import Version1Group
from .version2 import Version2Group

T = TypeVar("T", bound=msgspec.Struct)


class HybridGroup:
    """A container's groups in both; what version 1 does not tell is taken from version 2."""

    def __init__(self, first: Version1Group, second: Version2Group) -> None:
        self._first = first
        self._second = second

    def cpu(self) -> CpuStatistics:
        """Processor time."""
        return _merged(self._first.cpu(), self._second.cpu())

    def memory(self) -> MemoryStatistics:
        """Memory."""
        return _merged(self._first.memory(), self._second.memory())

    def memory_events(self) -> MemoryEvents:
        """How often memory ran short."""
        return _merged(self._first.memory_events(), self._second.memory_events())

    def processes(self) -> ProcessStatistics:
        """Processes and threads."""
        return _merged(self._first.processes(), self._second.processes())

    def block_devices(self) -> tuple[BlockDeviceStatistics, ...]:
        """Block devices."""
        return self._first.block_devices() or self._second.block_devices()

    def process_files(self) -> tuple[str, ...]:
        """Where the ids of its processes are listed."""
        return (*self._first.process_files(), *self._second.process_files())


def _merged(first: T, second: T) -> T:
    missing = {name: getattr(second, name) for name in first.__struct_fields__ if getattr(first, name) is None}
    return msgspec.structs.replace(first, **missing)
