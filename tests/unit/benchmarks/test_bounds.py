"""What the short benchmark of pods fails for."""

from __future__ import annotations

import pytest

from benchmarks.bounds import BOUNDS, Bound, exceeded_bounds

_BOUND = Bound("test_exec", "test_podman_exec", 3)


@pytest.mark.parametrize("median", [0.001, 0.3])
def test_what_takes_as_long_as_it_may_or_less_is_not_told(median: float) -> None:
    measured = [("exec", "test_exec", [median]), ("exec", "test_podman_exec", [0.1])]
    assert exceeded_bounds([_BOUND], measured) == []


def test_the_medians_are_judged_and_not_single_rounds() -> None:
    measured = [("exec", "test_exec", [0.1, 0.1, 9.0]), ("exec", "test_podman_exec", [0.1])]
    assert exceeded_bounds([_BOUND], measured) == []


def test_what_takes_longer_is_told_with_both_ratios() -> None:
    measured = [("exec", "test_exec", [0.5]), ("exec", "test_podman_exec", [0.1])]
    assert exceeded_bounds([_BOUND], measured) == [
        "too slow: test_exec takes 5.0 times as long as test_podman_exec, and may take 3 times"
    ]


def test_what_was_not_measured_keeps_no_bound() -> None:
    assert exceeded_bounds([_BOUND], [("exec", "test_exec", [0.1])]) == ["not measured: test_podman_exec"]
    assert len(exceeded_bounds(BOUNDS, [])) == len(BOUNDS)
