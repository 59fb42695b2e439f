"""The stages that a start is made of."""

from __future__ import annotations

import math

import pytest

from firkin.domain.errors import StoreFull
from firkin.domain.errors.base import failing_in
from firkin.domain.process import ContainerStartupTiming
from firkin.domain.stages import CONTAINER_STAGES, POD_STAGES, TEMPLATE_STAGES, told_stages


def test_every_stage_has_a_name_of_its_own() -> None:
    names = (*POD_STAGES, *CONTAINER_STAGES)
    assert len(names) == len(set(names))


def test_a_timing_has_every_stage_of_a_container_and_gives_back_what_it_was_made_of() -> None:
    seconds = {stage: number / 8 for number, stage in enumerate(CONTAINER_STAGES)}
    timing = ContainerStartupTiming.from_stages(seconds, 9.0)
    assert list(timing.stage_seconds.items()) == list(seconds.items())
    assert timing.total_seconds == 9.0


def test_what_a_sandbox_tells_is_taken_as_far_as_it_can_be_true() -> None:
    told = {"pull": 1.5, "hash": math.nan, "write": -1.0, "inflate": math.inf, "commit": 0.0, "lunch": 3600.0}
    assert told_stages(told, TEMPLATE_STAGES) == {"pull": 1.5, "commit": 0.0}


def test_the_innermost_stage_is_the_one_that_failed() -> None:
    with pytest.raises(StoreFull) as raised, failing_in("template"), failing_in("write"):
        raise StoreFull("/store")
    assert raised.value.failed_stage == "write"


def test_what_is_around_comes_before_what_is_within() -> None:
    error = StoreFull("/store").after({"write": 0.25}).after({"template": 0.5}).after({"store": 1.0})
    assert list(error.stage_seconds.items()) == [("store", 1.0), ("template", 0.5), ("write", 0.25)]
