"""The life of a supervised pod, and its end from outside, over adapters in memory."""

from __future__ import annotations

import asyncio
import errno
import os
import re

import pytest
from msgspec.structs import replace

from firkin.adapters.memory import Faults, MemoryLeftovers
from firkin.adapters.memory.pod_registry import MemoryClaim
from firkin.application.collecting import collected
from firkin.application.pod_ending import PodEnding
from firkin.application.task_scope import TaskScope
from firkin.domain.errors import (
    CommandNotFound,
    PodNotFound,
    PodStillRunning,
    SupervisorDied,
    SupervisorUnreachable,
)
from firkin.domain.ids import ContainerId, PodId
from firkin.domain.port_forwards import PortForward
from firkin.domain.process import ExitStatus, Stdio
from firkin.domain.supervised_pod import PodRecord, SupervisedPhase
from firkin.ports.leftovers import Leftover
from firkin.testkit.supervised_pods import SupervisedPods

POD = PodId("pod-1")


async def test_what_is_written_down_follows_the_pod_to_its_end() -> None:
    world = SupervisedPods.in_memory()
    spec = world.pod(world.container("a", "cat"), world.container("b", "exit", "3"))
    async with world.started(spec) as supervised, world.connector.connected(POD) as control:
        record = world.registry.record(POD)
        assert (record.phase, record.started > 0) == (SupervisedPhase.RUNNING, True)
        assert [(one.id, one.has_stdin) for one in record.containers] == [("a", True), ("b", True)]
        async with control.attached(record.containers[0].id, with_input=True) as process:
            await process.end_input()
            assert (await process.wait()).success
        ended = await supervised
    assert ended == world.registry.record(POD)
    assert (ended.phase, ended.exit_code, ended.problem) == (SupervisedPhase.EXITED, 3, "")
    assert [one.status for one in ended.containers] == [ExitStatus(0), ExitStatus(3)]
    assert world.memory.leftovers() == []


async def test_a_pod_that_does_not_start_is_written_down_as_failed_with_the_reason() -> None:
    world = SupervisedPods.in_memory()
    with pytest.raises(CommandNotFound):
        await world.supervise(world.pod(world.container("a", "nonsense")))
    record = world.registry.record(POD)
    assert (record.phase, record.exit_code) == (SupervisedPhase.FAILED, 125)
    assert "'nonsense' was not found" in record.problem
    assert world.memory.leftovers() == []


async def test_a_pod_goes_on_and_ends_in_order_while_nothing_can_be_written_down(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = SupervisedPods.in_memory()
    is_full, save = False, MemoryClaim.save

    def save_where_there_is_space(claim: MemoryClaim, record: PodRecord) -> None:
        if is_full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        save(claim, record)

    monkeypatch.setattr(MemoryClaim, "save", save_where_there_is_space)
    spec = world.pod(world.container("a", "cat"), world.container("b", "cat"), world.container("c", "gate"))
    async with world.started(spec) as supervised, world.connector.connected(POD) as control:
        for name in ("a", "b"):
            is_full = name == "a"
            async with control.attached(ContainerId(name), with_input=True) as process:
                await process.end_input()
                assert (await process.wait()).success
            # What follows the pod's events has seen the end a moment later.
            await asyncio.sleep(1)
            seen = [one.status for one in world.registry.record(POD).containers]
            assert seen == ([None] * 3 if is_full else [ExitStatus(0), ExitStatus(0), None])
        world.gate.opened.set()
        ended = await supervised
    assert ended == world.registry.record(POD)
    assert (ended.phase, ended.problem) == (SupervisedPhase.EXITED, "")
    assert [one.status for one in ended.containers] == [ExitStatus(0)] * 3


async def test_an_end_that_could_not_be_written_down_is_once_the_pod_has_given_its_space_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = SupervisedPods.in_memory()
    save = MemoryClaim.save

    def save_where_there_is_space(claim: MemoryClaim, record: PodRecord) -> None:
        if record.phase is not SupervisedPhase.RUNNING and world.memory.leftovers():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        save(claim, record)

    monkeypatch.setattr(MemoryClaim, "save", save_where_there_is_space)
    ended = await world.supervise(world.pod(world.container("a", "exit", "3")))
    assert ended == world.registry.record(POD)
    assert (ended.phase, ended.exit_code) == (SupervisedPhase.EXITED, 3)


async def test_a_sandbox_that_dies_ends_the_pod_and_is_told() -> None:
    world = SupervisedPods.in_memory()
    async with world.started(world.pod()) as supervised:
        (sandbox,) = world.memory.sandboxes.values()
        await sandbox.die("the kernel was out of memory")
        record = await supervised
    assert record.phase is SupervisedPhase.FAILED
    assert record.problem == "its sandbox died: the kernel was out of memory"


async def test_a_sidecar_goes_on_as_long_as_the_others_and_does_not_count() -> None:
    world = SupervisedPods.in_memory()
    sidecar = world.container("side", "sleep").stdin(Stdio.NULL).sidecar()
    spec = world.pod(world.container("a", "exit", "4"))
    spec = replace(spec, init_containers=(sidecar,))
    record = await world.supervise(spec)
    assert (record.exit_code, [one.is_sidecar for one in record.containers]) == (4, [True, False])
    assert record.container(None).id == "a"


async def test_the_ports_of_the_host_are_written_down() -> None:
    world = SupervisedPods.in_memory()
    spec = replace(world.pod(), port_forwards=(PortForward(80),))
    async with world.started(spec):
        (port,) = world.registry.record(POD).ports
    assert re.fullmatch(r"127\.0\.0\.1:\d+->80", port)


async def test_a_cancelled_supervision_leaves_nothing_of_the_pod() -> None:
    world = SupervisedPods.in_memory()
    async with world.started(world.pod()):
        pass
    assert world.memory.leftovers() == []
    assert world.registry.record(POD).phase is SupervisedPhase.ABANDONED


async def test_stopping_waits_until_the_supervisor_lets_go_and_is_idempotent() -> None:
    world = SupervisedPods.in_memory()
    ending = PodEnding(world.registry, world.connector)
    async with world.started(world.pod()):
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(ending.ended(POD))
            stopping = group.create_task(ending.stopped(POD, 0))
        assert not world.registry.is_held(POD)
        assert waiting.result() == stopping.result() == await ending.stopped(POD) == await ending.ended(POD)


async def test_removing_needs_force_while_the_pod_runs() -> None:
    world = SupervisedPods.in_memory()
    ending = PodEnding(world.registry, world.connector)
    with pytest.raises(PodNotFound):
        await ending.removed(POD, force=True)
    async with world.started(world.pod(world.container("a", "stubborn"))):
        with pytest.raises(PodStillRunning):
            await ending.removed(POD)
        await ending.removed(POD, force=True)
    assert world.registry.records() == ()
    assert world.memory.leftovers() == []


async def test_a_supervisor_that_never_lets_go_is_told_after_a_while() -> None:
    world = SupervisedPods.in_memory()
    ending = PodEnding(world.registry, world.connector)
    claim = world.registry.claimed(PodRecord(id=POD, phase=SupervisedPhase.EXITED))
    with claim, pytest.raises(SupervisorUnreachable, match="the process does not end"):
        await ending.removed(POD)


async def test_who_was_killed_cannot_be_stopped_but_removed() -> None:
    world = SupervisedPods.in_memory()
    ending = PodEnding(world.registry, world.connector)
    with world.registry.claimed(PodRecord(id=POD, phase=SupervisedPhase.RUNNING)):
        pass
    with pytest.raises(SupervisorDied):
        await ending.stopped(POD)
    await ending.removed(POD)
    assert world.registry.records() == ()


async def test_collecting_goes_on_past_what_cannot_be_removed_and_tells_why() -> None:
    faults = Faults()
    place = MemoryLeftovers([Leftover("file", "stuck"), Leftover("file", "a"), Leftover("file", "b")], faults)
    other = MemoryLeftovers([Leftover("file", "c")])
    assert [one.problem for one in await collected([place], dry_run=True)] == ["", "", ""]
    assert len(await place.found()) == 3
    faults.fail("leftovers.remove", OSError(16, "Device or resource busy"))
    results = {one.leftover.name: one.problem for one in await collected([place, other])}
    assert (results["a"], results["b"], results["c"]) == ("", "", "")
    assert "busy" in results["stuck"]
    assert await place.found() == (Leftover("file", "stuck"),)


async def test_nothing_is_told_of_a_pod_that_is_stopped_while_the_sandbox_is_asked_what_it_uses() -> None:
    world, scope = SupervisedPods.in_memory(), TaskScope()
    async with world.started(world.pod()) as supervised, world.connector.connected(POD) as control:

        def stop(_: int, place: str) -> None:
            if place == "agent.statistics after" and world.memory.faults.passed.count(place) == 2:
                scope.start(control.stop(0), "stop the pod meanwhile")

        world.memory.faults.on_passage = stop
        told = [[one.container_id for one in containers] async for containers in control.statistics(0.01)]
        assert (await supervised).phase is SupervisedPhase.EXITED
    await scope.aclose()
    assert told == [["a"]]
