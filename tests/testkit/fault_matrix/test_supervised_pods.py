"""Every use case of a long-lived pod, every call between it and its users and between it and the world, every fault."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from .case import FAULTS
from .failures import SEED, Failures, Note
from .supervised_cases import SUPERVISED_USE_CASES, SupervisedWorld, run_step

pytestmark = pytest.mark.many_runs


@pytest.mark.parametrize("use_case", SUPERVISED_USE_CASES)
async def test_a_fault_leaves_the_pod_to_itself_or_ends_it_and_leaves_nothing(
    use_case: str, tmp_path: Path, record_property: Note
) -> None:
    failures = Failures()
    calls = (await run_step(SupervisedWorld(tmp_path), use_case)).calls
    for index, call in enumerate(calls):
        for fault in FAULTS:
            number, world = calls[: index + 1].count(call), SupervisedWorld(tmp_path)
            hit = partial(world.script.on, call, fault, call=number)
            await failures.run(f"{use_case}: {call} #{number}: {fault}", run_step(world, use_case, hit))
    record_property("firkin cases", ["fault matrix of long-lived pods", failures.count, f"seed {SEED}"])
    assert failures.count > 1
    failures.check()


@pytest.mark.parametrize("use_case", SUPERVISED_USE_CASES)
async def test_a_cancellation_at_any_await_leaves_the_pod_to_itself_or_ends_it(
    use_case: str, tmp_path: Path, record_property: Note
) -> None:
    failures = Failures()
    places = (await run_step(SupervisedWorld(tmp_path), use_case)).places
    for place in range(1, places + 1):
        work = run_step(SupervisedWorld(tmp_path), use_case, cancelled_at=place)
        await failures.run(f"{use_case}, cancelled at place {place}", work)
    record_property("firkin cases", ["cancellations of long-lived pods", failures.count, f"seed {SEED}"])
    assert failures.count > 1
    failures.check()
