"""Many pods one after the other, and many containers in one."""

from __future__ import annotations

import asyncio
import statistics
from pathlib import Path

import pytest

import firkin
from tests.machine_state import MachineState, settled_state

from .pods import real_runtime, shell

pytestmark = pytest.mark.real_time


@pytest.mark.parametrize(("store", "pods"), [("directory", 20), pytest.param("ext4", 10, marks=pytest.mark.needs_root)])
async def test_pods_of_three_containers_leave_nothing(
    tmp_path: Path, busybox_image: str, store: str, pods: int
) -> None:
    async with real_runtime(tmp_path, store) as runtime:
        bundle = await runtime.images.resolve(busybox_image)
        before = await settled_state()
        for number in range(pods):
            builder = firkin.PodBuilder(f"soak-{number}").empty_dir(firkin.EmptyDirVolume.memory("m"))
            for name in ("one", "two", "three"):
                builder = builder.container(
                    shell(name, bundle, f"echo {name} > /m/{name}; cat /m/{name}").empty_dir_mount("m", "/m")
                )
            async with runtime.spawn(builder.build()) as pod:
                outputs = await asyncio.gather(*(pod.wait_container(name) for name in ("one", "two", "three")))
                assert [output.stdout for output in outputs] == [b"one\n", b"two\n", b"three\n"]
                report = await pod.stop()
            assert report.clean, report
        assert MachineState.now().beyond(before) == {}
        assert not list((tmp_path / "state").glob("**/pods/soak-*"))
        assert list((tmp_path / "run").iterdir()) == []


async def test_sixty_four_containers_of_one_template_run_and_the_last_ones_start_as_fast_as_the_first(
    tmp_path: Path, busybox_image: str
) -> None:
    async with real_runtime(tmp_path) as runtime:
        bundle = await runtime.images.resolve(busybox_image)
        async with (
            runtime.spawn(firkin.PodBuilder("pod-1").build()) as pod,
            runtime.spawn(firkin.PodBuilder("fresh").build()) as fresh,
        ):
            for number in range(48):
                await _seconds_to_start(pod, shell(f"c{number}", bundle, f"echo {number}; sleep 1000"))
            in_a_full_pod, in_a_fresh_one = [], []
            # By turns, so that both have what else the machine does.
            for number in range(48, 64):
                started = await _seconds_to_start(pod, shell(f"c{number}", bundle, f"echo {number}; sleep 1000"))
                in_a_full_pod.append(started)
                in_a_fresh_one.append(await _seconds_to_start(fresh, shell("c", bundle, "true")))
                await fresh.remove_container("c")
            assert pod.template_cache_entries() == 1
            for number, container in enumerate(pod.containers()):
                assert container.stdout is not None
                assert await container.stdout.read_line() == f"{number}\n".encode()
            # A growth with the number would show as a multiple; the noise of the machine does not reach three.
            assert statistics.median(in_a_full_pod) < 3 * statistics.median(in_a_fresh_one)
            report = await pod.stop(grace_seconds=0)
        assert len(report.containers) == 64
        assert report.clean, report


async def _seconds_to_start(pod: firkin.Pod, spec: firkin.PodContainerSpec) -> float:
    return (await pod.add_container(spec)).startup_timing.total_seconds
