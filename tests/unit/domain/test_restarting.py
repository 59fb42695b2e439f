from __future__ import annotations

import pytest

from firkin.domain.process import ExitStatus
from firkin.domain.restarting import BackOff, RestartPolicy


def test_pauses_double_up_to_five_minutes() -> None:
    back_off = BackOff()
    assert [back_off.pause_seconds(1) for _ in range(7)] == [10, 20, 40, 80, 160, 300, 300]


def test_a_run_of_ten_minutes_makes_up_for_all_that_was_before() -> None:
    back_off = BackOff()
    assert [back_off.pause_seconds(seconds) for seconds in (1, 1, 599.9, 600, 1)] == [10, 20, 40, 10, 20]


@pytest.mark.parametrize(
    ("policy", "code", "restarts"),
    [
        (RestartPolicy.NEVER, 1, False),
        (RestartPolicy.ON_FAILURE, 1, True),
        (RestartPolicy.ON_FAILURE, 0, False),
        (RestartPolicy.ALWAYS, 0, True),
        (RestartPolicy.ALWAYS, 1, True),
    ],
)
def test_a_policy_decides_by_the_exit_code(policy: RestartPolicy, code: int, restarts: bool) -> None:
    assert policy.wants_restart(ExitStatus(code)) is restarts
