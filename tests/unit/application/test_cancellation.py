"""Cancelling a use case at each place where it waits leaves nothing behind and poisons nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import pytest

from firkin.application.pod import Pod
from firkin.domain.errors import FirkinError, StoreFull
from firkin.domain.reports import StopReport

from .worlds import World

Step = Callable[[World, Pod], Awaitable[object]]
Breaker = Callable[[World, "asyncio.Task[None]"], None]

MOST_PLACES = 200


async def _add(world: World, pod: Pod) -> None:
    await pod.add_container(world.container("new"))


async def _two_phase_add(world: World, pod: Pod) -> None:
    async with pod.begin_container_add(world.container("new")) as pending:
        started = await (await pending.prepare()).start()
        await pod.commit_container_add(started)


async def _wait(world: World, pod: Pod) -> None:
    await pod.add_container(world.container("new", "echo", "text"))
    await pod.wait_container("new")


async def _exec(world: World, pod: Pod) -> None:
    async with await pod.container("old").exec("echo", "text") as process:
        await process.wait_with_output()


async def _restart(world: World, pod: Pod) -> None:
    await pod.container("old").stop(0)
    await pod.restart_container("old")


async def _write(world: World, pod: Pod) -> None:
    await pod.write_empty_dir_file("work", "a/b", b"data")


async def _remove(world: World, pod: Pod) -> None:
    await pod.remove_container("old")


async def _shutdown(world: World, pod: Pod) -> None:
    await pod.stop()


STEPS: dict[str, Step] = {
    "add": _add,
    "two-phase add": _two_phase_add,
    "wait": _wait,
    "exec": _exec,
    "restart": _restart,
    "write": _write,
    "remove": _remove,
    "shutdown": _shutdown,
}


def _at(world: World, place: int, act: Callable[[], object]) -> None:
    """Do `act` at the passage of this number, counted from now."""
    first = len(world.memory.faults.passed)

    def passing(number: int, _: str) -> None:
        if number == first + place:
            act()

    world.memory.faults.on_passage = passing


async def _spawned_and_stopped(world: World) -> None:
    async with world.runtime.spawn(world.pod(world.container("a"), world.container("b", "echo", "x"))) as pod:
        await pod.wait_container("b")


async def _cancelled_at(world: World, place: int, work: Awaitable[object]) -> bool:
    """Run `work` and cancel it at a place; tell whether it came that far."""
    task = asyncio.ensure_future(work)
    reached = False

    def cancel() -> None:
        nonlocal reached
        reached = True
        task.cancel()

    _at(world, place, cancel)
    await asyncio.wait([task])
    world.memory.faults.on_passage = None
    if not task.cancelled() and task.exception() is not None:
        raise task.exception() or AssertionError
    return reached


async def test_spawn_cancelled_at_each_await_leaves_nothing() -> None:
    for place in range(MOST_PLACES):
        world = World()
        reached = await _cancelled_at(world, place, _spawned_and_stopped(world))
        async with world.runtime:
            assert world.memory.leftovers() == [], f"cancelled at place {place}: {world.memory.faults.passed[place]}"
            await _spawned_and_stopped(world)
        if not reached:
            assert place > 15
            return
    pytest.fail("spawn passes more places than this test looks at")


@pytest.mark.parametrize("name", STEPS)
async def test_a_use_case_cancelled_at_each_await_leaves_nothing(name: str) -> None:
    for place in range(MOST_PLACES):
        world = World()
        async with world.runtime:
            pod = await world.runtime.spawn(world.pod(world.container("old")))
            reached = await _cancelled_at(world, place, STEPS[name](world, pod))
            if name != "shutdown":
                await _pod_still_works(world, pod)
            await pod.stop()
            assert world.memory.leftovers() == [], f"{name}, cancelled at place {place}"
            await _spawned_and_stopped(world)
        if not reached:
            assert place > 1
            return
    pytest.fail(f"{name} passes more places than this test looks at")


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("name", STEPS)
async def test_a_port_call_that_fails_in_a_use_case_leaves_nothing(name: str, after: bool) -> None:
    for operation in await _operations_of(name):
        world = World()
        async with world.runtime:
            pod = await world.runtime.spawn(world.pod(world.container("old")))
            world.memory.faults.fail(operation, StoreFull("/nowhere"), after=after)
            assert await _error_of(STEPS[name](world, pod)) in {None, "store-full", "removal-incomplete"}
            if name != "shutdown":
                await _pod_still_works(world, pod)
            await pod.stop()
            assert world.memory.leftovers() == [], f"{name}, {operation} failed"
            await _spawned_and_stopped(world)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_a_port_call_that_fails_in_spawn_leaves_nothing(after: bool) -> None:
    world = World()
    await _spawned_and_stopped(world)
    operations = {place.split()[0] for place in world.memory.faults.passed}
    assert len(operations) > 8
    for operation in operations:
        world = World()
        world.memory.faults.fail(operation, StoreFull("/nowhere"), after=after)
        assert await _error_of(_spawned_and_stopped(world)) in {None, "store-full"}
        assert world.memory.leftovers() == [], operation
        await _spawned_and_stopped(world)


async def test_shutdown_ends_an_add_that_is_under_way() -> None:
    for place in range(MOST_PLACES):
        world = World()
        pod = await world.runtime.spawn(world.pod(world.container("old")))
        stopping: list[asyncio.Task[StopReport]] = []
        _at(world, place, partial(_begin_stop, pod, stopping))
        refusals = {None, "pod-not-running", "container-not-pending"}
        assert await _error_of(_two_phase_add(world, pod)) in refusals
        world.memory.faults.on_passage = None
        await asyncio.wait([*stopping, asyncio.ensure_future(pod.stop())])
        assert world.memory.leftovers() == [], f"stopped at place {place}"
        if not stopping:
            return
    pytest.fail("an add passes more places than this test looks at")


async def _error_of(work: Awaitable[object]) -> str | None:
    try:
        await work
    except FirkinError as error:
        return error.code
    return None


def _begin_stop(pod: Pod, stopping: list[asyncio.Task[StopReport]]) -> None:
    stopping.append(asyncio.ensure_future(pod.stop()))


async def _operations_of(name: str) -> set[str]:
    world = World()
    async with world.runtime:
        pod = await world.runtime.spawn(world.pod(world.container("old")))
        first = len(world.memory.faults.passed)
        await STEPS[name](world, pod)
        operations = {place.split()[0] for place in world.memory.faults.passed[first:]}
    return operations


async def _pod_still_works(world: World, pod: Pod) -> None:
    if pod.contains_container("new"):
        await pod.remove_container("new", grace_seconds=0)
    await pod.add_container(world.container("new", "echo", "again"))
    assert (await pod.wait_container("new")).stdout == b"again\n"
    await pod.remove_container("new")
