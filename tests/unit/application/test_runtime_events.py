"""One stream of what happens in all pods of a runtime, and what a spawn tells of its stages."""

from __future__ import annotations

import logging

import pytest

from firkin.domain.errors import FirkinError, StoreFull
from firkin.domain.events import ContainerPhaseChanged, EventsMissed, PodPhaseChanged, ProcessExited, RuntimeEvent
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


@pytest.mark.parametrize(
    ("operation", "stages"),
    [("store.open", STAGES[:1]), ("agent.prepare_pod", STAGES[:4]), ("agent.start_container", STAGES)],
)
async def test_a_spawn_that_fails_tells_how_far_it_came(operation: str, stages: list[str]) -> None:
    world = World()
    world.memory.faults.fail(operation, StoreFull("/nowhere"))
    async with world.runtime:
        with pytest.raises(FirkinError) as raised:
            await world.runtime.spawn(world.pod(world.container("c")))
    assert list(raised.value.stage_seconds) == stages


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
