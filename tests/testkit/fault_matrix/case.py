"""One case of the matrix: a use case, something that goes wrong in it, and what has to be true afterwards."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

import msgspec

from firkin.application.pod import Pod
from firkin.domain.errors import (
    AgentError,
    AgentUnreachable,
    DeadlineExceeded,
    FirkinError,
    PodNotRunning,
    SandboxDied,
    StoreFull,
)
from firkin.domain.lifecycle import ContainerPhase, PodPhase
from firkin.domain.process import ExitStatus
from firkin.domain.stages import CONTAINER_STAGES, POD_STAGES
from firkin.testkit.faults import Fault, FaultKind

from .faulty_world import PORT, FaultyWorld
from .use_cases import ENDS_THE_POD, IN_STAGES, USE_CASES

CROSSED_THE_WIRE = (AgentError, AgentUnreachable, DeadlineExceeded, SandboxDied, StoreFull)
PATIENCE_SECONDS = 24 * 3600.0
"""Of virtual time: whatever takes longer hangs."""

SETTLING_SECONDS = 60.0
"""Of virtual time: a sandbox that died is noticed, and a stop whose caller was cancelled goes on to its end."""

FAULTS = (
    Fault(FaultKind.DROP),
    Fault(FaultKind.DROP, after=True),
    Fault(FaultKind.DELAY),
    Fault(FaultKind.NO_SPACE),
    Fault(FaultKind.NO_SPACE, after=True),
    Fault(FaultKind.IO_ERROR),
    Fault(FaultKind.IO_ERROR, after=True),
    Fault(FaultKind.DIE),
    Fault(FaultKind.DIE, after=True),
    Fault(FaultKind.FREEZE),
    Fault(FaultKind.LATE),
    Fault(FaultKind.DUPLICATE),
)


class Case(msgspec.Struct, frozen=True):
    """Which call of which use case goes wrong, and how; the call's number counts from the step's beginning."""

    use_case: str
    call: str
    number: int
    fault: Fault

    def __str__(self) -> str:
        return f"{self.use_case}: {self.call} #{self.number}: {self.fault}"


async def calls_of(world: FaultyWorld, use_case: str) -> list[tuple[str, int]]:
    """Run a use case without faults; every port call that it makes, with its number among those of its name."""
    async with world.runtime:
        pod = await world.pod()
        first = len(world.script.calls)
        await USE_CASES[use_case](world, pod)
        calls = world.script.calls[first:]
    return [(name, calls[: index + 1].count(name)) for index, name in enumerate(calls)]


async def places_of(world: FaultyWorld, use_case: str) -> int:
    """How many places a use case passes where it could be cancelled."""
    async with world.runtime:
        pod = await world.pod()
        first = world.places
        await USE_CASES[use_case](world, pod)
        return world.places - first


async def check_fault(world: FaultyWorld, case: Case) -> None:
    """Run a case, and look whether everything is as it has to be."""
    async with world.runtime, asyncio.timeout(PATIENCE_SECONDS):
        pod = await world.pod()
        world.script.on(case.call, case.fault, call=case.number)
        try:
            await USE_CASES[case.use_case](world, pod)
        except FirkinError as error:
            check_error(error, case.use_case)
        world.script.clear()
        await check_aftermath(world, pod, case.use_case)


async def check_cancellation(world: FaultyWorld, use_case: str, place: int) -> None:
    """Cancel a use case at a place, and look whether everything is as it has to be."""
    async with world.runtime, asyncio.timeout(PATIENCE_SECONDS):
        pod = await world.pod()
        task = asyncio.ensure_future(USE_CASES[use_case](world, pod))
        world.cancel_at(place, task)
        await asyncio.wait([task])
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await check_aftermath(world, pod, use_case)


def check_error(error: FirkinError, use_case: str) -> None:
    """It tells what was being done, of a call to the agent whether that happened, and of a start which stage failed."""
    assert error.operation, f"no operation: {error!r}"
    if isinstance(error, CROSSED_THE_WIRE):
        assert error.outcome is not None, f"no outcome: {error!r}"
        if use_case in IN_STAGES:
            assert error.failed_stage in error.stage_seconds, f"no stage: {error!r}"
            assert error.failed_stage in (*POD_STAGES, *CONTAINER_STAGES), error.failed_stage


async def check_aftermath(world: FaultyWorld, pod: Pod, use_case: str) -> None:
    """Nothing is left, nothing is poisoned, and the states fit together."""
    await asyncio.sleep(SETTLING_SECONDS)
    check_states(pod)
    if pod.state is PodPhase.RUNNING and use_case not in ENDS_THE_POD:
        try:
            await check_pod_works(world, pod)
        except (PodNotRunning, SandboxDied):
            # A wait that was begun in the step ends now, and the sandbox with it, as the case has it.
            assert [pod.state] == [PodPhase.FAILED]
    elif pod.state is not PodPhase.STOPPED:
        with refusing():
            await pod.add_container(world.container("other"))
    await pod.stop(0)
    assert pod.state is PodPhase.STOPPED, pod.state
    assert pod.forwarded_ports() == ()
    with refusing():
        await pod.add_container(world.container("other"))
    await check_nothing_is_left(world)
    again = await world.pod()
    await check_pod_works(world, again)
    assert (await again.stop(0)).clean
    await check_nothing_is_left(world)


async def check_nothing_is_left(world: FaultyWorld) -> None:
    """Neither in the world nor among the tasks of its pods."""
    assert world.memory.leftovers() == [], world.memory.leftovers()
    await asyncio.sleep(0)


@contextlib.contextmanager
def refusing() -> Iterator[None]:
    """A body that a pod which does not run refuses."""
    try:
        yield
    except (PodNotRunning, SandboxDied):
        return
    raise AssertionError("a pod that does not run took a container")


def check_states(pod: Pod) -> None:
    """A container that runs has a pid; nothing is halfway."""
    assert pod.state in (PodPhase.RUNNING, PodPhase.FAILED, PodPhase.STOPPING, PodPhase.STOPPED), pod.state
    for container in pod.containers():
        assert container.state in (ContainerPhase.RUNNING, ContainerPhase.EXITED), (container.id, container.state)


async def check_pod_works(world: FaultyWorld, pod: Pod) -> None:
    """The same ids can be used again, and every kind of operation works."""
    if pod.contains_container("new"):
        await removed(pod, "new")
    await pod.add_container(world.container("new", "echo", "again"))
    output = await pod.wait_container("new")
    assert (output.status, output.stdout) == (ExitStatus(0), b"again\n"), output
    await pod.restart_container("new")
    assert (await pod.container("new").wait()).success
    await pod.remove_container("new")
    await pod.write_empty_dir_file("work", "a/b", b"data")
    assert (await pod.store_usage()).total_blocks > 0
    async with pod.forward(PORT):
        assert len(pod.forwarded_ports()) == 1
    if pod.contains_container("old") and pod.container("old").state is ContainerPhase.RUNNING:
        async with await pod.container("old").exec("echo", "here") as process:
            assert (await process.wait_with_output()).stdout == b"here\n"


async def removed(pod: Pod, container_id: str) -> None:
    """Remove what a fault may have left ended or unknown."""
    with contextlib.suppress(FirkinError):
        await pod.remove_container(container_id, grace_seconds=0)
    assert not pod.contains_container(container_id)
