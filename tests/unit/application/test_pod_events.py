"""One stream of what happens in a pod: its phases, and what its agent tells."""

from __future__ import annotations

import asyncio

from firkin.adapters.memory import MemoryProcess
from firkin.domain.events import (
    BUFFERED_EVENTS,
    ContainerPhaseChanged,
    Event,
    EventsMissed,
    PodPhaseChanged,
    ProcessExited,
)
from firkin.domain.lifecycle import ContainerPhase, PodPhase

from .worlds import World


async def test_phases_and_exits_come_in_one_stream_that_ends_with_the_pod() -> None:
    world = World()
    seen: list[Event] = []
    async with world.runtime.spawn(world.pod()) as pod:
        async with pod.events() as events:
            await pod.add_container(world.container("a", "false"))
            await pod.container("a").wait()
            await pod.remove_container("a")
            await pod.stop()
            seen = [event async for event in events]
        assert [event async for event in pod.events()] == []
    phases = [event.phase for event in seen if isinstance(event, ContainerPhaseChanged)]
    assert phases[:3] == [ContainerPhase.PREPARED, ContainerPhase.STARTING, ContainerPhase.STARTED]
    assert phases[-3:] == [ContainerPhase.EXITED, ContainerPhase.REMOVING, ContainerPhase.REMOVED]
    assert [event.phase for event in seen if isinstance(event, PodPhaseChanged)] == [
        PodPhase.STOPPING,
        PodPhase.STOPPED,
    ]
    (exited,) = [event for event in seen if isinstance(event, ProcessExited)]
    assert (exited.container_id, exited.process_id, exited.status.code) == ("a", "a", 1)


async def test_a_stream_that_nobody_reads_is_bounded_and_disturbs_no_other() -> None:
    world = World()
    async with world.runtime.spawn(world.pod(world.container("a"))) as pod:
        slow, quick = pod.events(), pod.events()
        missed = 0
        for number in range(400):
            await (await pod.container("a").exec("true")).wait_with_output()
            for _ in range(3):
                missed += isinstance(await quick.next_event(), EventsMissed)
            assert missed == 0, number
        await slow.aclose()
        first, *rest = [event async for event in slow]
        assert isinstance(first, EventsMissed)
        assert first.count + len(rest) == 3 * 400
        assert len(rest) == BUFFERED_EVENTS


async def test_a_listener_that_leaves_is_told_nothing_more() -> None:
    world = World()
    async with world.runtime.spawn(world.pod()) as pod:
        async with pod.events() as events:
            pass
        await pod.add_container(world.container("a"))
        assert [event async for event in events] == []


async def test_events_of_a_pod_whose_sandbox_dies_end_with_its_stop() -> None:
    async def forever(process: MemoryProcess) -> int:
        await asyncio.sleep(3600)
        return 0

    world = World({"forever": forever})
    async with world.runtime.spawn(world.pod(world.container("a", "forever"))) as pod, pod.events() as events:
        (sandbox,) = world.memory.sandboxes.values()
        await sandbox.die("killed")
        await pod.stop()
        seen = [event async for event in events]
    assert PodPhase.FAILED in [event.phase for event in seen if isinstance(event, PodPhaseChanged)]
