"""Pods with supervisors, over a runtime in memory, in the process of the test."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager

from firkin.adapters.memory import (
    MemoryAgentConnector,
    MemoryImageSource,
    MemoryPodControls,
    MemoryPodRegistry,
    MemoryPodStore,
    MemoryProcess,
    MemoryVmm,
    MemoryWorld,
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
from firkin.ports.pod_control import ControlConnector, ControlServer
from firkin.ports.pod_registry import PodRegistry

_LOOKS = 6000
_LOOK_SECONDS = 0.01


class SupervisedPods:
    """A runtime in memory, and the ways to its pods, which are supervised by tasks of the test.

    Its containers run what those of `firkin.adapters.memory` run, and `talk`, `count` and `gate` beside that.

    Attributes:
        server, connector, registry, logs: what is tested, and what it leans on.
        memory: what runs the pods.
        gate: lets the program `gate` end.
    """

    def __init__(
        self, registry: PodRegistry, logs: LogKeeper, server: ControlServer, connector: ControlConnector
    ) -> None:
        """`server` is handed the pods of `registry`, and `connector` finds them."""
        self.registry = registry
        self.logs = logs
        self.connector = connector
        self.server = server
        self.memory = MemoryWorld()
        self.gate = Gate()
        images = MemoryImageSource(self.memory.faults)
        self._rootfs = RootfsSource.oci_bundle(images.add("demo", ImageConfig(command=("true",))))
        self.runtime = Runtime(
            vmm=MemoryVmm(self.memory),
            store=MemoryPodStore(self.memory),
            agents=MemoryAgentConnector(self.memory, {"talk": _talk, "count": _count, "gate": self.gate}),
            images=Images([images]),
            logs=self.logs,
        )
        self.is_running = asyncio.Event()

    @classmethod
    def in_memory(cls) -> SupervisedPods:
        """All of it in memory."""
        registry = MemoryPodRegistry()
        controls = MemoryPodControls(registry)
        return cls(registry, registry.logs, controls, controls)

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
            supervision = Supervision(claimed, record, self.server, self.is_running.set)
            async with self.runtime:
                return await supervision.run(self.runtime, spec)

    @contextlib.asynccontextmanager
    async def started(self, spec: PodSpec) -> AsyncIterator[asyncio.Task[PodRecord]]:
        """A pod that runs, until it has ended, or the block."""
        async with self.starting(spec) as supervised, _task(self._runs(), "wait until it runs") as running:
            await asyncio.wait({supervised, running}, return_when=asyncio.FIRST_COMPLETED)
            yield supervised

    def starting(self, spec: PodSpec) -> AbstractAsyncContextManager[asyncio.Task[PodRecord]]:
        """A pod that has only begun, until it has ended, or the block."""
        return _task(self.supervise(spec), f"supervise {spec.id}")

    async def _runs(self) -> PodRecord:
        await self.is_running.wait()
        return self.registry.records()[0]


@contextlib.asynccontextmanager
async def _task(work: Coroutine[None, None, PodRecord], name: str) -> AsyncIterator[asyncio.Task[PodRecord]]:
    scope = TaskScope()
    try:
        yield scope.start(work, name)
    finally:
        await scope.aclose()


class Gate:
    """A program that ends when the test lets it."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.opened = asyncio.Event()
        self.passed = asyncio.Event()

    async def __call__(self, process: MemoryProcess) -> int:
        self.reached.set()
        await self.opened.wait()
        self.passed.set()
        return 0


async def _talk(process: MemoryProcess) -> int:
    assert process.stderr is not None
    await process.say("out\n")
    await process.stderr.write(b"err\n")
    return 3


async def _count(process: MemoryProcess) -> int:
    for number in range(2000):
        await process.say(f"{number:060}\n")
    return 0


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
