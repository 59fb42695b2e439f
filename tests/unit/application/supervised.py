"""A pod with a supervisor, over adapters in memory, in the process of the test."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping

from msgspec.structs import replace

from firkin.adapters.memory import (
    MemoryAgentConnector,
    MemoryImageSource,
    MemoryPodControls,
    MemoryPodRegistry,
    MemoryPodStore,
    MemoryVmm,
    MemoryWorld,
    Program,
)
from firkin.application.images import Images
from firkin.application.runtime import Runtime
from firkin.application.supervision import Supervision
from firkin.application.task_scope import TaskScope
from firkin.domain.container_spec import PodContainerSpec
from firkin.domain.errors import FirkinError
from firkin.domain.image import ImageConfig
from firkin.domain.pod_spec import PodBuilder, PodSpec
from firkin.domain.process import Stdio
from firkin.domain.rootfs_source import RootfsSource
from firkin.domain.supervised_pod import PodRecord
from firkin.ports.log_keeper import LogKeeper
from firkin.ports.pod_control import ControlServer
from firkin.ports.pod_registry import PodRegistry

_LOOKS = 6000
_LOOK_SECONDS = 0.01


class SupervisedWorld:
    """A runtime, a registry and a control server; pods of it are supervised by tasks of the test."""

    def __init__(
        self,
        programs: Mapping[str, Program] | None = None,
        registry: PodRegistry | None = None,
        server: ControlServer | None = None,
        logs: LogKeeper | None = None,
    ) -> None:
        self.memory = MemoryWorld()
        memory_registry = MemoryPodRegistry()
        self.registry = registry or memory_registry
        self.logs = logs or memory_registry.logs
        self.controls = MemoryPodControls(self.registry)
        self._server = server or self.controls
        images = MemoryImageSource(self.memory.faults)
        self._rootfs = RootfsSource.oci_bundle(images.add("demo", ImageConfig(command=("true",))))
        self.runtime = Runtime(
            vmm=MemoryVmm(self.memory),
            store=MemoryPodStore(self.memory),
            agents=MemoryAgentConnector(self.memory, programs),
            images=Images([images]),
            logs=self.logs,
        )
        self.is_running = asyncio.Event()

    def container(self, name: str, *command: str) -> PodContainerSpec:
        """A container with a log and standard input."""
        return PodContainerSpec(name, self._rootfs).command(*(command or ("sleep",))).stdin(Stdio.PIPED).log()

    def pod(self, *containers: PodContainerSpec, pod_id: str = "pod-1") -> PodSpec:
        """A pod of these containers."""
        builder = PodBuilder(pod_id)
        for container in containers or (self.container("a"),):
            builder = builder.container(container)
        return builder.build()

    async def supervise(self, spec: PodSpec, *, is_removed_at_end: bool = False) -> PodRecord:
        """What the process of a supervisor does."""
        record = PodRecord(id=spec.id, created=time.time(), is_removed_at_end=is_removed_at_end)
        with self.registry.claimed(record) as claimed:
            supervision = Supervision(claimed, record, self._server, self.is_running.set)
            async with self.runtime:
                return await supervision.run(self.runtime, spec)

    @contextlib.asynccontextmanager
    async def started(self, spec: PodSpec) -> AsyncIterator[asyncio.Task[PodRecord]]:
        """A pod that runs, until it has ended, or the block."""
        scope = TaskScope()
        task = scope.start(self.supervise(spec), f"supervise {spec.id}")
        running = scope.start(self._run(), "wait until it runs")
        try:
            await asyncio.wait({task, running}, return_when=asyncio.FIRST_COMPLETED)
            yield task
        finally:
            await scope.aclose()

    async def _run(self) -> PodRecord:
        await self.is_running.wait()
        return self.registry.records()[0]


def failing_to_start(spec: PodSpec) -> PodSpec:
    """The pod with a first container whose command does not exist."""
    first, *others = spec.containers
    return replace(spec, containers=(first.command("nonsense"), *others))


async def failure_of(work: AsyncIterator[object]) -> FirkinError:
    """What a stream fails with."""
    try:
        async for _ in work:
            continue
    except FirkinError as error:
        return error
    raise AssertionError("it did not fail")


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that nobody tells."""
    for _ in range(_LOOKS):
        if condition():
            return
        await asyncio.sleep(_LOOK_SECONDS)
    raise AssertionError("it did not come to that")
