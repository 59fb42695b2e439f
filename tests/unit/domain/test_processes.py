from __future__ import annotations

import pytest

from firkin import ExitStatus
from firkin.domain.process import ExitReason, ProcessRef


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (ExitStatus(0), "exit code 0"),
        (ExitStatus(3), "exit code 3"),
        (ExitStatus.from_signal(9), "killed by SIGKILL"),
        (ExitStatus.from_signal(33), "killed by signal 33"),
        (ExitStatus.from_signal(9, ExitReason.OOM_KILLED), "killed by SIGKILL (oom-killed)"),
    ],
)
def test_a_status_says_how_it_ended(status: ExitStatus, text: str) -> None:
    assert str(status) == text


def test_a_signal_counts_from_128() -> None:
    status = ExitStatus.from_signal(15)
    assert (status.code, status.signal, status.reason) == (143, 15, ExitReason.SIGNALED)
    assert not status.success
    assert ExitStatus(0).success


def test_the_init_process_has_its_containers_id() -> None:
    assert ProcessRef("web", "web").is_init
    assert not ProcessRef("web", "exec-1").is_init
