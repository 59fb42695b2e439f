"""Statistics in memory: coroutines use next to nothing."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager

from firkin.domain.errors import ContainerNotFound
from firkin.domain.ids import ContainerId, PodId
from firkin.domain.layout import StoreLayout
from firkin.domain.process import ProcessRef
from firkin.domain.statistics import (
    ContainerStatistics,
    CpuStatistics,
    MemoryEvents,
    MemoryStatistics,
    ProcessEntry,
    ProcessStatistics,
    StoreBreakdown,
    UsedSpace,
)

from .programs import MemoryProcess
from .world import MemoryStore

_MEMORY_BYTES = 4096


class MemoryAgentStatistics:
    """Counts the processes that run, and gives each of them a page of memory."""

    _store: MemoryStore
    _processes: dict[ProcessRef, MemoryProcess]
    _process_ids: dict[ProcessRef, int]

    def _call(self, operation: str) -> AbstractAsyncContextManager[None]:
        """One call: where faults are injected, and the sandbox's death is noticed."""
        raise TypeError("the agent that this is a part of has no calls")

    def _running(self, container_id: str) -> Mapping[ProcessRef, MemoryProcess]:
        members = {ref: one for ref, one in self._processes.items() if ref.container_id == container_id}
        init = members.get(ProcessRef(container_id, container_id))
        return {} if init is None or init.exit.done() else {k: v for k, v in members.items() if not v.exit.done()}

    async def statistics(self, container_ids: Sequence[ContainerId]) -> Sequence[ContainerStatistics]:
        """What these containers use; one that there is not (any more) is left out."""
        async with self._call("statistics"):
            known = {ref.container_id for ref in self._processes}
            return tuple(self._statistics(container_id) for container_id in container_ids if container_id in known)

    def _statistics(self, container_id: ContainerId) -> ContainerStatistics:
        count = len(self._running(container_id))
        return ContainerStatistics(
            container_id,
            time.time(),
            CpuStatistics(usage_usec=1),
            MemoryStatistics(usage_bytes=count * _MEMORY_BYTES),
            MemoryEvents(oom_kill=0),
            ProcessStatistics(current=count),
        )

    async def processes(self, container_id: ContainerId) -> Sequence[ProcessEntry]:
        """The processes of a container, by pid; none once it has ended."""
        async with self._call("processes"):
            if container_id not in {ref.container_id for ref in self._processes}:
                raise ContainerNotFound("memory", container_id)
            running = self._running(container_id)
            init_pid = self._process_ids.get(ProcessRef(container_id, container_id), 0)
            entries = [self._entry(ref, process, init_pid) for ref, process in running.items()]
            return sorted(entries, key=lambda entry: entry.pid)

    def _entry(self, ref: ProcessRef, process: MemoryProcess, init_pid: int) -> ProcessEntry:
        pid = self._process_ids[ref]
        container_pid = pid - init_pid + 1
        return ProcessEntry(
            pid, container_pid, 1, 0, 0, process.args, process.started_unix_seconds, "S", _MEMORY_BYTES, 0.0, 1
        )

    async def store_breakdown(self, pod_id: PodId, layout: StoreLayout) -> StoreBreakdown:
        """The bytes of the files that were written into volumes; an inode for every template."""
        async with self._call("store_breakdown"):
            volumes: dict[str, UsedSpace] = {}
            prefix = f"{layout.pod(pod_id)}/emptydir/"
            for path, data in self._store.pods.get(pod_id, {}).items():
                name = path.removeprefix(prefix).partition("/")[0]
                before = volumes.get(name, UsedSpace())
                volumes[name] = UsedSpace(before.bytes + len(data), before.inodes + 1)
            containers: dict[str, UsedSpace] = {ref.container_id: UsedSpace() for ref in self._processes}
            return StoreBreakdown(UsedSpace(0, len(self._store.templates)), containers, volumes)
