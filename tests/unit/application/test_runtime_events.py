"""One stream of what happens in all pods of a runtime, and what a spawn tells of its stages."""

from __future__ import annotations

import logging

import pytest

from firkin.domain.errors import FirkinError, StoreFull
from firkin.domain.events import (
    ContainerPhaseChanged,
    ContainerStarted,
    ContainerStartFailed,
    EventsMissed,
    PodPhaseChanged,
    PodStarted,
    PodStartFailed,
    ProcessExited,
    RuntimeEvent,
)
from firkin.domain.lifecycle import ContainerPhase, PodPhase
from firkin.domain.process import ExitStatus

from .worlds import World

STAGES = ["store", "boot", "agent", "mount", "volumes", "init containers", "containers"]


async def test_two_pods_are_told_of_from_beginning_to_end_each_in_order() -> None:
    world = World()
    told: list[RuntimeEvent] = []
    async with world.runtime:
        events = world.runtime.events()
        for name, code in (("one", "3"), ("two", "0")):
            async with world.runtime.spawn(world.pod(world.container("c", "exit", code), pod_id=name)) as pod:
                await pod.wait_container("c")
    told = [event async for event in events]
    for name, status in (("one", ExitStatus(3)), ("two", ExitStatus(0))):
        mine = [one.event for one in told if one.pod_id == name]
        assert [one.phase for one in mine if isinstance(one, PodPhaseChanged)] == [
            PodPhase.BOOTING,
            PodPhase.AGENT_READY,
            PodPhase.STORE_MOUNTED,
            PodPhase.STARTING,
            PodPhase.RUNNING,
            PodPhase.STOPPING,
            PodPhase.STOPPED,
        ]
        assert [one.status for one in mine if isinstance(one, ProcessExited)] == [status]
        assert ContainerPhase.EXITED in [one.phase for one in mine if isinstance(one, ContainerPhaseChanged)]


async def test_who_listens_later_hears_the_rest_and_who_leaves_hears_nothing() -> None:
    world = World()
    async with world.runtime:
        async with world.runtime.spawn(world.pod(world.container("c"))) as pod, world.runtime.events() as events:
            left = world.runtime.events()
            await left.aclose()
            await pod.container("c").kill(9)
            await pod.wait_container("c")
        exits = []
        while (event := await events.next_event()) is not None:
            if isinstance(event.event, ProcessExited):
                exits.append(event.event.status.signal)
    assert exits == [9]
    assert await left.next_event() is None


async def test_a_listener_who_does_not_read_is_told_how_much_it_missed() -> None:
    world = World()
    async with world.runtime:
        events = world.runtime.events()
        for number in range(110):
            await (await world.runtime.spawn(world.pod(world.container("c"), pod_id=f"p{number}"))).stop(0)
        first = await events.next_event()
        assert first is not None
        assert isinstance(first.event, EventsMissed)
        assert first.event.count > 0
        await events.aclose()


async def test_a_pod_tells_what_its_stages_took() -> None:
    world = World()
    async with world.runtime, world.runtime.spawn(world.pod(world.container("c"))) as pod:
        assert list(pod.spawn_seconds) == STAGES
        assert all(seconds >= 0 for seconds in pod.spawn_seconds.values())
        assert pod.container("c").startup_timing.total_seconds > 0
        assert pod.boot_timing is None


HOW_FAR = [
    ("store.open", STAGES[:1], "store"),
    ("agent.prepare_pod", STAGES[:4], "mount"),
    ("agent.apply_layer", [*STAGES, "template", "write"], "write"),
    ("agent.start_container", [*STAGES, "template", "write", "commit", "spec", "call"], "call"),
]


@pytest.mark.parametrize(("operation", "stages", "failed"), HOW_FAR)
async def test_a_spawn_that_fails_tells_how_far_it_came(operation: str, stages: list[str], failed: str) -> None:
    world = World()
    world.memory.faults.fail(operation, StoreFull("/nowhere"))
    async with world.runtime, world.runtime.events() as events:
        with pytest.raises(FirkinError) as raised:
            await world.runtime.spawn(world.pod(world.container("c")))
        await events.aclose()
        told = [one.event async for one in events if isinstance(one.event, PodStartFailed)]
    assert list(raised.value.stage_seconds) == stages
    assert all(seconds >= 0 for seconds in raised.value.stage_seconds.values())
    assert raised.value.failed_stage == failed
    assert [(one.error, one.failed_stage, list(one.stage_seconds)) for one in told] == [("store-full", failed, stages)]


async def test_events_tell_what_the_stages_of_a_start_took() -> None:
    world = World()
    async with world.runtime:
        events = world.runtime.events()
        async with world.runtime.spawn(world.pod(world.container("c"))) as pod:
            timing = pod.container("c").startup_timing
            world.memory.faults.fail("agent.start_container", StoreFull("/nowhere"))
            with pytest.raises(StoreFull):
                await pod.add_container(world.container("d"))
            await events.aclose()
            told = [one.event async for one in events]
    (pod_started,) = [one for one in told if isinstance(one, PodStarted)]
    (started,) = [one for one in told if isinstance(one, ContainerStarted)]
    (failed,) = [one for one in told if isinstance(one, ContainerStartFailed)]
    assert dict(pod_started.stage_seconds) == pod.spawn_seconds
    assert (started.container_id, started.timing) == ("c", timing)
    assert timing.write_seconds > 0
    assert timing.template_seconds >= timing.write_seconds + timing.commit_seconds
    assert (failed.container_id, failed.error, failed.failed_stage) == ("d", "store-full", "call")
    assert list(failed.stage_seconds) == ["template", "spec", "call"]


async def test_a_restart_is_measured_on_its_own() -> None:
    world = World()
    async with world.runtime, world.runtime.spawn(world.pod(world.container("c"))) as pod:
        container = pod.container("c")
        assert container.startup_timing.template_seconds > 0
        await container.kill(9)
        await container.wait()
        world.memory.faults.fail("agent.start_container", StoreFull("/nowhere"))
        with pytest.raises(StoreFull) as raised:
            await container.restart()
        assert (list(raised.value.stage_seconds), raised.value.failed_stage) == (["spec", "call"], "call")
        await container.restart()
        assert container.startup_timing.template_seconds == 0
        assert container.startup_timing.total_seconds > 0


async def test_the_log_has_one_tree_and_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    with caplog.at_level(logging.DEBUG):
        async with world.runtime:
            spec = world.container("c", "echo", "my-argument").env("PASSWORD", "my-secret")
            async with world.runtime.spawn(world.pod(spec)) as pod:
                await pod.wait_container("c")
    ours = [record for record in caplog.records if record.name.startswith("firkin")]
    assert len(ours) > 8
    assert {vars(record)["pod_id"] for record in ours} == {"pod-1"}
    text = " ".join(record.getMessage() for record in ours)
    assert "my-secret" not in text
    assert "my-argument" not in text
