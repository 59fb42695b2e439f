"""What others can do with a long-lived pod, each as one step that a fault may hit, between them and it or within it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from firkin.adapters.memory import (
    MemoryAgentConnector,
    MemoryImageSource,
    MemoryPodControls,
    MemoryPodRegistry,
    MemoryPodStore,
    MemoryVmm,
    MemoryWorld,
)
from firkin.application.images import Images
from firkin.application.runtime import Runtime
from firkin.application.supervision import Supervision
from firkin.application.task_scope import TaskScope, finished
from firkin.domain.container_spec import PodContainerSpec
from firkin.domain.errors import FirkinError, SandboxDied
from firkin.domain.ids import ContainerId, PodId
from firkin.domain.image import ImageConfig
from firkin.domain.pod_spec import PodBuilder, PodSpec
from firkin.domain.process import Stdio
from firkin.domain.rootfs_source import RootfsSource
from firkin.domain.supervised_pod import PodRecord, SupervisedPhase
from firkin.ports.pod_control import AttachedProcess, CopyRequest, ExecRequest, PodControl
from firkin.testkit.faults import FaultScript

from .case import PATIENCE_SECONDS

POD, LONG, SHORT = PodId("pod-1"), ContainerId("long"), ContainerId("short")
SETTLING_SECONDS = 60.0

Step = Callable[["SupervisedWorld", PodControl], Awaitable[object]]


class SupervisedWorld:
    """A registry, a way to supervisors and a runtime in memory, all of it behind a fault script.

    Attributes:
        places: how many places were passed where a cancellation could strike: before and after each port call.
    """

    def __init__(self, scratch: Path, seed: int = 0) -> None:
        self.scratch = scratch
        self.script = FaultScript(seed)
        self.memory = MemoryWorld()
        self.places = 0
        self._cancel_at: tuple[int, asyncio.Task[None]] | None = None
        self.script.on_call = self._passed
        self.memory.faults.on_passage = lambda _, place: self._passed(place)
        kept = MemoryPodRegistry()
        self.registry = self.script.registry(kept)
        self.controls = MemoryPodControls(self.registry)
        self.connector = self.script.controls(self.controls)
        self.rootfs = RootfsSource.oci_bundle(MemoryImageSource().add("demo", ImageConfig(command=("true",))))
        self.runtime = Runtime(
            vmm=self.script.vmm(MemoryVmm(self.memory)),
            store=self.script.store(MemoryPodStore(self.memory)),
            agents=self.script.agents(MemoryAgentConnector(self.memory)),
            images=Images([]),
            logs=kept.logs,
        )

    def cancel_at(self, place: int, task: asyncio.Task[None]) -> None:
        """Cancel a task at the place of this number, counted from now."""
        self._cancel_at = (self.places + place, task)

    def _passed(self, _: str) -> None:
        self.places += 1
        if self._cancel_at is not None and self._cancel_at[0] == self.places:
            self._cancel_at[1].cancel()

    def spec(self) -> PodSpec:
        """A container that goes on, and one that says something and ends."""
        long = PodContainerSpec(LONG, self.rootfs).command("cat").stdin(Stdio.PIPED).log()
        short = PodContainerSpec(SHORT, self.rootfs).command("echo", "text").log()
        return PodBuilder(POD).container(long).container(short).build()

    async def supervise(self, on_running: Callable[[], None]) -> PodRecord:
        """What the process of a supervisor does."""
        record = PodRecord(id=POD, created=time.time())
        with self.registry.claimed(record) as claimed:
            return await Supervision(claimed, record, self.controls, on_running).run(self.runtime, self.spec())


async def _exec(_: SupervisedWorld, control: PodControl) -> None:
    async with control.executed(ExecRequest(LONG, ("echo", "here"))) as process:
        # A stream that is cut ends early, as with a sandbox that dies.
        assert await _all_output(process) in (b"here\n", b"")
        assert (await process.wait()).success


async def _detach(_: SupervisedWorld, control: PodControl) -> None:
    async with control.executed(ExecRequest(LONG, ("sleep",))) as process:
        await process.detach()
        assert await _all_output(process) == b""


async def _attach(_: SupervisedWorld, control: PodControl) -> None:
    async with control.attached(LONG, with_input=True) as process:
        await process.write(b"hello\n")
        await process.end_input()
        await process.wait()


async def _logs(_: SupervisedWorld, control: PodControl) -> None:
    assert b"".join([entry.data async for entry in control.logs(SHORT)]) == b"text\n"


async def _copy(world: SupervisedWorld, control: PodControl) -> None:
    source = world.scratch / "source"
    source.write_text("text")
    await control.copy_in(CopyRequest(LONG, str(source), "/tmp/copy"))
    await control.copy_out(CopyRequest(LONG, str(world.scratch / "back"), "/tmp/copy"))


async def _statistics(_: SupervisedWorld, control: PodControl) -> None:
    async for told in control.statistics(1.0):
        assert [one.container_id for one in told] == [LONG]
        return


async def _kill(_: SupervisedWorld, control: PodControl) -> None:
    await control.kill((LONG,), 15)
    await control.wait()


async def _stop(_: SupervisedWorld, control: PodControl) -> None:
    assert (await control.stop(1.0)).phase.is_over


async def _all_output(process: AttachedProcess) -> bytes:
    return b"".join([piece.data async for piece in process.output()])


SUPERVISED_USE_CASES: dict[str, Step] = {
    "control: exec": _exec,
    "control: detach": _detach,
    "control: attach": _attach,
    "control: logs": _logs,
    "control: copy": _copy,
    "control: statistics": _statistics,
    "control: kill": _kill,
    "control: stop": _stop,
}


class Passed(msgspec.Struct, frozen=True):
    """What a step, and the pod meanwhile, have passed: the calls of ports, and the places for a cancellation."""

    calls: list[str]
    places: int


async def run_step(
    world: SupervisedWorld,
    use_case: str,
    before: Callable[[], None] = lambda: None,
    cancelled_at: int | None = None,
) -> Passed:
    """Start a pod, let `before` set a fault, do the step, and look whether everything is as it has to be.

    With `cancelled_at`, who does the step is cancelled at the place of this number.
    """
    async with world.runtime, asyncio.timeout(PATIENCE_SECONDS):
        scope, running = TaskScope(), asyncio.Event()
        life = scope.start(world.supervise(running.set), "supervise")
        begun = scope.start(running.wait(), "wait until it runs")
        try:
            await asyncio.wait({life, begun}, return_when=asyncio.FIRST_COMPLETED)
            first, place = len(world.script.calls), world.places
            before()
            step = scope.start(_driven(world, use_case), use_case)
            if cancelled_at is not None:
                world.cancel_at(cancelled_at, step)
            await asyncio.wait({step})
            if not step.cancelled():
                step.result()
            passed = Passed(world.script.calls[first:], world.places - place)
            world.script.clear()
            await asyncio.sleep(SETTLING_SECONDS)
            await _check_aftermath(world, life)
        finally:
            await scope.aclose()
    return passed


async def _driven(world: SupervisedWorld, use_case: str) -> None:
    """What somebody in another process does; a fault may fail it."""
    with contextlib.suppress(FirkinError):
        async with world.connector.connected(POD) as control:
            await SUPERVISED_USE_CASES[use_case](world, control)


async def _check_aftermath(world: SupervisedWorld, life: asyncio.Task[PodRecord]) -> None:
    """Whatever happened, the pod either goes on and can be driven, or is over and written down; nothing is left."""
    if not life.done():
        assert world.registry.record(POD).phase is SupervisedPhase.RUNNING
        async with world.controls.connected(POD) as control:
            # A wait that was begun in the step may end now, and the sandbox with it, as the case has it.
            with contextlib.suppress(SandboxDied):
                await _exec_once_more(control)
            await control.stop(0)
    with contextlib.suppress(FirkinError):
        await finished(life)
    assert not world.registry.is_held(POD)
    assert world.registry.record(POD).phase in (SupervisedPhase.EXITED, SupervisedPhase.FAILED)
    assert world.memory.leftovers() == []
    world.registry.remove(POD)


async def _exec_once_more(control: PodControl) -> None:
    async with control.executed(ExecRequest(LONG, ("echo", "again"))) as process:
        assert await _all_output(process) == b"again\n"
