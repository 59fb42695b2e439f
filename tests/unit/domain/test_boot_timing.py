"""Where the time of a boot went."""

from __future__ import annotations

import pytest

from firkin.domain.boot_timing import BootTiming


def test_phases_add_up_to_what_the_host_saw() -> None:
    timing = BootTiming.from_marks(10.0, 17.0, {"kernel": 2.0, "root": 3.5, "listen": 6.0})
    assert timing.phases == {"qemu": pytest.approx(1.0), "kernel": 2.0, "root": 1.5, "listen": 2.5}
    assert timing.seconds == pytest.approx(7.0)


def test_a_guest_that_counts_more_than_the_host_leaves_nothing_for_qemu() -> None:
    assert BootTiming.from_marks(0.0, 1.0, {"listen": 2.0}).phases == {"qemu": 0.0, "listen": 2.0}
