"""The budget of a whole pod, in a machine: kept by the guest's own control groups."""

from __future__ import annotations

from pathlib import Path

import pytest

import firkin
from firkin.domain.process import ExitReason
from tests.integration.pod.pods import shell
from tests.integration.pod.test_limits import EAT, FORK

from .machines import machine_runtime, small_machine

pytestmark = pytest.mark.real_time


async def test_all_containers_of_a_pod_together_keep_to_its_budget(tmp_path: Path, busybox_image: str) -> None:
    async with machine_runtime(tmp_path) as runtime:
        bundle = await runtime.images.resolve(busybox_image)
        budget = firkin.PodBuilder("pod-1", small_machine()).limits(memory=48 * 2**20, pids=16)
        async with runtime.spawn(budget.build()) as pod:
            await pod.add_container(shell("eater", bundle, f"exec {EAT}"))
            assert (await pod.wait_container("eater")).status.reason is ExitReason.OOM_KILLED
            idle = shell("idle", bundle, "sleep 1000 & sleep 1000 & sleep 1000 & echo four; wait")
            said = (await pod.add_container(idle)).stdout
            assert said is not None
            assert await said.read() == b"four\n"
            await pod.add_container(shell("forks", bundle, FORK))
            assert 5 <= int((await pod.wait_container("forks")).stdout) <= 12
            report = await pod.stop(grace_seconds=0)
        assert report.clean, report
