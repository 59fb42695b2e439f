"""Every use case, every port call that it makes, every fault, and a cancellation at each await.

Which calls a use case makes is found out by recording a run of it. FIRKIN_FAULT_SEED chooses other random faults.
"""

from __future__ import annotations

import itertools
import time
from pathlib import Path

import pytest

from firkin.domain.errors import FirkinError
from firkin.testkit.faults import FaultKind

from .case import (
    FAULTS,
    Case,
    calls_of,
    check_aftermath,
    check_cancellation,
    check_error,
    check_fault,
    places_of,
)
from .failures import SEED, Failures, Note
from .faulty_world import FaultyWorld
from .use_cases import USE_CASES

pytestmark = pytest.mark.many_runs

RANDOM_RUNS = 20


@pytest.mark.parametrize("use_case", USE_CASES)
async def test_a_fault_in_any_port_call_leaves_nothing_and_poisons_nothing(
    use_case: str, tmp_path: Path, record_property: Note
) -> None:
    failures = Failures()
    for call, number in await calls_of(FaultyWorld(tmp_path), use_case):
        for fault in FAULTS:
            case = Case(use_case, call, number, fault)
            await failures.run(case, check_fault(FaultyWorld(tmp_path), case))
    record_property("firkin cases", ["fault matrix", failures.count, f"seed {SEED}"])
    assert failures.count > 1
    failures.check()


@pytest.mark.parametrize("use_case", USE_CASES)
async def test_a_cancellation_at_any_await_leaves_nothing_and_poisons_nothing(
    use_case: str, tmp_path: Path, record_property: Note
) -> None:
    failures = Failures()
    for place in range(1, await places_of(FaultyWorld(tmp_path), use_case) + 1):
        work = check_cancellation(FaultyWorld(tmp_path), use_case, place)
        await failures.run(f"{use_case}, cancelled at place {place}", work)
    record_property("firkin cases", ["cancellations", failures.count, f"seed {SEED}"])
    assert failures.count > 1
    failures.check()


async def test_faults_at_random_leave_nothing_and_poison_nothing(tmp_path: Path, record_property: Note) -> None:
    failures = Failures()
    for use_case in USE_CASES:
        for run in range(RANDOM_RUNS):
            seed = SEED + run
            await failures.run(f"{use_case}, seed {seed}", _check_random(FaultyWorld(tmp_path, seed), use_case))
    record_property("firkin cases", ["random faults", failures.count, f"seed {SEED}"])
    failures.check()


async def _check_random(world: FaultyWorld, use_case: str) -> None:
    async with world.runtime:
        pod = await world.pod()
        world.script.at_random(0.15, [fault for fault in FAULTS if fault.kind is not FaultKind.DUPLICATE])
        try:
            await USE_CASES[use_case](world, pod)
        except FirkinError as error:
            check_error(error, use_case)
        world.script.clear()
        await check_aftermath(world, pod, use_case)


async def test_a_clock_that_jumps_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jumps = itertools.cycle((0.0, -86400.0, 3600.0, 1e9))
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + next(jumps))
    for use_case in USE_CASES:
        world = FaultyWorld(tmp_path)
        async with world.runtime:
            pod = await world.pod()
            await USE_CASES[use_case](world, pod)
            await check_aftermath(world, pod, use_case)


async def test_a_seed_does_the_same_again(tmp_path: Path) -> None:
    told = []
    for _ in range(2):
        world = FaultyWorld(tmp_path, SEED)
        async with world.runtime:
            pod = await world.pod()
            world.script.at_random(0.3, FAULTS)
            for use_case in ("add", "exec", "usage"):
                try:
                    await USE_CASES[use_case](world, pod)
                except FirkinError:
                    continue
            world.script.clear()
        told.append(world.script.injected)
    assert told[0] == told[1]
    assert told[0]
