"""What every way to a pod's supervisor promises of the pod's life (ports/pod_control.py)."""

from __future__ import annotations

import asyncio
import contextlib
import signal

import pytest
from msgspec.structs import replace

from firkin.application.supervised_pod import SupervisedPod
from firkin.domain.errors import (
    CommandNotFound,
    ContainerNotFound,
    CopyFailed,
    PodNotFound,
    PodOver,
    SupervisorDied,
)
from firkin.domain.ids import ContainerId, PodId
from firkin.domain.pod_spec import PodSpec
from firkin.domain.process import ExitStatus, Stdio
from firkin.domain.restarting import RestartPolicy
from firkin.domain.supervised_pod import PodRecord, SupervisedPhase
from firkin.ports.pod_control import CopyRequest, ExecRequest

from ..supervised_pods import SupervisedPods, failure_of, until

POD, A, B = PodId("pod-1"), ContainerId("a"), ContainerId("b")


async def test_what_goes_wrong_has_the_same_class_on_both_sides(long_lived: SupervisedPods) -> None:
    async with long_lived.started(long_lived.pod()), long_lived.connector.connected(POD) as control:
        with pytest.raises(CommandNotFound) as told:
            async with control.executed(ExecRequest(A, ("nonsense",))):
                pass
        assert (told.value.command, told.value.exit_code) == ("nonsense", 127)
        with pytest.raises(ContainerNotFound):
            async with control.executed(ExecRequest(B, ("true",))):
                pass
        with pytest.raises(ContainerNotFound):
            await control.kill((A, B), signal.SIGTERM)
        assert type(await failure_of(control.logs(B))) is ContainerNotFound
        with pytest.raises(CopyFailed):
            await control.copy_out(CopyRequest(A, "/tmp/nowhere", "/absent"))


async def test_a_stop_answers_all_who_wait_when_nothing_is_left(long_lived: SupervisedPods) -> None:
    spec = long_lived.pod(long_lived.container("a", "sleep"), long_lived.container("b", "exit", "3"))
    async with long_lived.started(spec) as supervised, long_lived.connector.connected(POD) as control:
        async with asyncio.TaskGroup() as group:
            waits = [group.create_task(control.wait()) for _ in range(3)]
            stops = [group.create_task(control.stop(5)) for _ in range(2)]
        (record,) = {one.result() for one in (*waits, *stops)}
        assert record == await supervised
        assert record.phase is SupervisedPhase.EXITED
        assert [one.status for one in record.containers] == [ExitStatus.from_signal(signal.SIGTERM), ExitStatus(3)]
        assert long_lived.memory.leftovers() == []


async def test_a_stop_without_grace_ends_the_grace_of_an_earlier_one(long_lived: SupervisedPods) -> None:
    spec = long_lived.pod(long_lived.container("a", "stubborn"))
    async with long_lived.started(spec), long_lived.connector.connected(POD) as control:
        async with asyncio.TaskGroup() as group:
            patient = group.create_task(control.stop(3600))
            await until(lambda: long_lived.registry.record(POD).phase is SupervisedPhase.STOPPING)
            group.create_task(control.stop(0))
        assert patient.result().exit_code == 128 + signal.SIGKILL


async def test_a_policy_starts_containers_again_and_a_stop_ends_that(long_lived: SupervisedPods) -> None:
    spec = long_lived.pod(long_lived.container("a", "exit", "1"))
    spec = replace(spec, restart_policy=RestartPolicy.ALWAYS)
    async with long_lived.started(spec) as supervised, long_lived.connector.connected(POD) as control:
        assert not supervised.done()
        assert (await control.stop()).exit_code == 1


async def test_nobody_speaks_with_a_pod_that_is_over_or_that_there_never_was(long_lived: SupervisedPods) -> None:
    with pytest.raises(PodNotFound):
        async with long_lived.connector.connected(POD):
            pass
    async with long_lived.started(long_lived.pod(long_lived.container("a", "true"))) as supervised:
        await supervised
    with pytest.raises(PodOver, match="is exited, not running"):
        async with long_lived.connector.connected(POD):
            pass


async def test_a_pod_whose_supervisor_was_killed_is_told_as_such(long_lived: SupervisedPods) -> None:
    record = PodRecord(id=POD, phase=SupervisedPhase.RUNNING)
    with long_lived.registry.claimed(record):
        pass
    with pytest.raises(SupervisorDied, match="`firkin gc`"):
        async with long_lived.connector.connected(POD):
            pass


class _AskedControl(SupervisedPod):
    """Tells when somebody begins to wait."""

    def __init__(self, record: PodRecord) -> None:
        super().__init__(record)
        self.is_asked = asyncio.Event()

    async def wait(self) -> PodRecord:
        self.is_asked.set()
        return await super().wait()


async def test_who_is_served_is_found_and_calls_under_way_get_their_answers(long_lived: SupervisedPods) -> None:
    record = PodRecord(id=POD, phase=SupervisedPhase.RUNNING)
    over = replace(record, phase=SupervisedPhase.EXITED)
    control = _AskedControl(record)
    with long_lived.registry.claimed(record) as claimed:
        async with contextlib.AsyncExitStack() as caller:
            async with long_lived.server.serving(control, claimed):
                found = await caller.enter_async_context(long_lived.connector.connected(POD))
                waiting = asyncio.ensure_future(found.wait())
                await control.is_asked.wait()
                control.ended(over)
            assert await waiting == over
        claimed.save(over)
        with pytest.raises(PodOver):
            async with long_lived.connector.connected(POD):
                pass


def _slow_to_start(pods: SupervisedPods) -> PodSpec:
    """A pod that starts as long as its init container runs."""
    init = pods.container("init", "gate").stdin(Stdio.NULL)
    return replace(pods.pod(), init_containers=(init,))


async def test_who_comes_while_the_pod_starts_waits_for_it(long_lived: SupervisedPods) -> None:
    async with long_lived.starting(_slow_to_start(long_lived)) as task:
        await long_lived.gate.reached.wait()
        async with long_lived.connector.connected(POD) as control, asyncio.TaskGroup() as group:
            killed = group.create_task(control.kill((A,), signal.SIGTERM))
            assert long_lived.registry.record(POD).phase is SupervisedPhase.STARTING
            long_lived.gate.opened.set()
            await killed
        record = await task
    assert [one.status for one in record.containers] == [ExitStatus(0), ExitStatus.from_signal(signal.SIGTERM)]


async def test_a_pod_that_is_starting_can_be_given_up(long_lived: SupervisedPods) -> None:
    async with long_lived.starting(_slow_to_start(long_lived)) as task:
        await long_lived.gate.reached.wait()
        async with long_lived.connector.connected(POD) as control:
            record = await control.stop()
            assert record == await task
            assert (record.phase, record.problem) == (SupervisedPhase.EXITED, "it was stopped while it was starting")
    assert long_lived.memory.leftovers() == []
