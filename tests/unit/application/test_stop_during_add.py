"""A pod that is stopped while a container is added."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import pytest

from firkin.application.pod import Pod
from firkin.domain.errors import FirkinError
from firkin.domain.reports import StopReport

from .worlds import World

MOST_PLACES = 200


async def _two_phase_add(world: World, pod: Pod) -> None:
    async with pod.begin_container_add(world.container("new")) as pending:
        started = await (await pending.prepare()).start()
        await pod.commit_container_add(started)


def _at(world: World, place: int, act: Callable[[], object]) -> None:
    """Do `act` at the passage of this number, counted from now."""
    first = len(world.memory.faults.passed)

    def passing(number: int, _: str) -> None:
        if number == first + place:
            act()

    world.memory.faults.on_passage = passing


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
