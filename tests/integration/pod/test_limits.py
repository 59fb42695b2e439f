"""Limits and privileges of containers, and of a pod as a whole, as the processes inside meet them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

import firkin
from firkin.domain.container_spec import ResourceLimit
from firkin.domain.image import ImageBundle
from firkin.domain.process import ExitReason
from firkin.errors import InvalidPodSpec, UnsupportedFeature
from tests.machine_state import MachineState, settled_state

from .pods import HANG_SECONDS, real_runtime, shell

pytestmark = pytest.mark.real_time

MIB = 2**20
EAT = "tail /dev/zero"
# Forks until it cannot, and tells how many processes the container then has.
FORK = "(while :; do sleep 1000 & done) 2>/dev/null; set -- /proc/[0-9]*; echo $#"


def group_value(pod: firkin.Pod, below: str, *files: str) -> int:
    """What one of these files (version 1, version 2) of the sandbox's control groups says, seen from the host."""
    name = f"firkin-{pod.vm.socket_directory.name}"
    tops = [Path(top) for top, inner, _ in os.walk("/sys/fs/cgroup") if name in inner]
    texts = {path.read_text() for top in tops for file in files if (path := top / name / below / file).exists()}
    (text,) = texts
    return int(text.split()[0])


@pytest.mark.needs_root
async def test_a_container_beyond_its_memory_is_killed_for_it_and_its_neighbour_goes_on(
    tmp_path: Path, busybox_image: str
) -> None:
    async with real_runtime(tmp_path) as runtime:
        bundle = await runtime.images.resolve(busybox_image)
        spec = (
            firkin.PodBuilder("pod-1")
            .container(shell("eater", bundle, f"exec {EAT}").limits(memory=16 * MIB))
            .container(shell("neighbour", bundle, "sleep 1; echo fine").limits(memory=16 * MIB))
            .container(shell("child", bundle, f"{EAT}; echo $?; sleep 0.1").limits(memory=16 * MIB))
            .build()
        )
        async with runtime.spawn(spec) as pod, asyncio.timeout(HANG_SECONDS):
            assert (await pod.wait_container("eater")).status == firkin.ExitStatus(137, 9, ExitReason.OOM_KILLED)
            # The container outlives a child of its own that was killed, and is told.
            assert (await pod.wait_container("child")).stdout.startswith(b"137\n")
            assert (await pod.wait_container("neighbour")).stdout == b"fine\n"
            assert group_value(pod, "container/neighbour", "memory.limit_in_bytes", "memory.max") == 16 * MIB


@pytest.mark.needs_root
async def test_a_container_that_forks_without_end_stops_at_its_limit_and_its_neighbour_goes_on(
    tmp_path: Path, busybox_image: str
) -> None:
    async with real_runtime(tmp_path) as runtime:
        bundle = await runtime.images.resolve(busybox_image)
        bomb = "bomb() { bomb | bomb & }; bomb; sleep 1000"
        spec = (
            firkin.PodBuilder("pod-1")
            .container(shell("bomb", bundle, bomb).limits(pids=20, cpus=0.5))
            .container(shell("neighbour", bundle, "sleep 1000"))
            .build()
        )
        async with runtime.spawn(spec) as pod, asyncio.timeout(HANG_SECONDS):
            for _ in range(3):
                exec_output = await (await pod.container("neighbour").exec("echo", "fine")).wait_with_output()
                assert exec_output.stdout == b"fine\n"
            assert group_value(pod, "container/bomb", "pids.current") <= 20
            report = await pod.stop(grace_seconds=0)
        assert report.clean, report


@pytest.mark.needs_root
async def test_processors_are_a_quota(tmp_path: Path, busybox_image: str) -> None:
    async with real_runtime(tmp_path) as runtime:
        bundle = await runtime.images.resolve(busybox_image)
        spec = firkin.PodBuilder("pod-1").limits(cpus=1.5)
        spec = spec.container(shell("half", bundle, "sleep 1000").limits(cpus=0.5))
        async with runtime.spawn(spec.build()) as pod:
            for below, quota in (("container", 150_000), ("container/half", 50_000)):
                assert group_value(pod, below, "cpu.cfs_quota_us", "cpu.max") == quota
            with pytest.raises(InvalidPodSpec) as caught:
                await pod.add_container(shell("more", bundle, "true").limits(cpus=2))
            assert [problem.code for problem in caught.value.problems] == ["limit-beyond-pod"]
            await pod.stop(0)


@pytest.mark.needs_root
async def test_all_containers_of_a_pod_together_keep_to_its_budget(tmp_path: Path, busybox_image: str) -> None:
    before = await settled_state()
    async with real_runtime(tmp_path) as runtime:
        bundle = await runtime.images.resolve(busybox_image)
        budget = firkin.PodBuilder("pod-1", firkin.VmConfig(memory=512 * MIB, cpus=2)).limits(memory=48 * MIB, pids=16)
        async with runtime.spawn(budget.build()) as pod, asyncio.timeout(HANG_SECONDS):
            await pod.add_container(shell("eater", bundle, f"exec {EAT}"))
            assert (await pod.wait_container("eater")).status.reason is ExitReason.OOM_KILLED
            await pod.add_container(shell("idle", bundle, "sleep 1000 & sleep 1000 & sleep 1000 & echo all; wait"))
            idle = pod.container("idle").stdout
            assert idle is not None
            assert await idle.read_line() == b"all\n"
            await pod.add_container(shell("forks", bundle, FORK))
            forked = int((await pod.wait_container("forks")).stdout)
            assert 5 <= forked <= 12
            assert group_value(pod, "container", "pids.max") == 16
            # The agent's own threads and memory are not the containers'.
            assert group_value(pod, ".", "memory.limit_in_bytes", "memory.max") == 512 * MIB
            report = await pod.stop(grace_seconds=0)
        assert report.clean, report
    assert MachineState.now().beyond(before) == {}


async def test_a_budget_that_the_kernel_refuses_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    before = await settled_state()
    async with real_runtime(tmp_path) as runtime:
        with pytest.raises(UnsupportedFeature, match=r"pod limits\.cpus"):
            await runtime.spawn(firkin.PodBuilder("pod-1").limits(cpus=10.0**15).build())
    assert MachineState.now().beyond(before) == {}


async def test_rlimits_are_set_and_hold(tmp_path: Path, busybox_image: str) -> None:
    script = "ulimit -n; ulimit -Hn; ulimit -f; head -c 100000 /dev/zero > /tmp/file; stat -c %s /tmp/file"
    limits = ResourceLimit("RLIMIT_NOFILE", 100, 200), ResourceLimit("RLIMIT_FSIZE", 65536, 65536)
    output = await _output(tmp_path, busybox_image, lambda bundle: shell("a", bundle, script).rlimits(*limits))
    # The shell counts files in blocks of 512 bytes.
    assert output.stdout.split() == [b"100", b"200", b"128", b"65536"]


async def test_an_exec_has_the_rlimits_of_its_container(tmp_path: Path, busybox_image: str) -> None:
    limits = ResourceLimit("RLIMIT_NOFILE", 100, 200), ResourceLimit("RLIMIT_FSIZE", 65536, 65536)
    async with real_runtime(tmp_path) as runtime:
        bundle = await runtime.images.resolve(busybox_image)
        spec = firkin.PodBuilder("pod-1").container(shell("a", bundle, "exec sleep 1000").rlimits(*limits))
        async with runtime.spawn(spec.build()) as pod, asyncio.timeout(HANG_SECONDS):
            process = await pod.container("a").exec("sh", "-c", "ulimit -n; ulimit -Hn; ulimit -f")
            assert (await process.wait_with_output()).stdout.split() == [b"100", b"200", b"128"]


@pytest.mark.parametrize(
    ("add", "drop", "expected"),
    [
        ((), (), [b"chroot", b"chown"]),
        ((), ("CHOWN",), [b"chroot", b"no-chown"]),
        ((), ("ALL",), [b"no-chroot", b"no-chown"]),
        (("CHOWN",), ("ALL",), [b"no-chroot", b"chown"]),
        (("SYS_ADMIN", "NET_ADMIN"), (), [b"chroot", b"chown", b"mount", b"link"]),
    ],
)
async def test_capabilities_are_those_that_were_chosen(
    tmp_path: Path, busybox_image: str, add: tuple[str, ...], drop: tuple[str, ...], expected: list[bytes]
) -> None:
    script = (
        "tell() { name=$1; shift; \"$@\" 2>/dev/null && echo $name || echo no-$name; };"
        "tell chroot chroot / true; touch /tmp/f; tell chown chown 5 /tmp/f;"
        "tell mount mount -t tmpfs none /tmp; tell link ip link set lo mtu 60000"
    )  # fmt: skip
    output = await _output(
        tmp_path, busybox_image, lambda bundle: shell("a", bundle, script).capabilities(add=add, drop=drop)
    )
    told = output.stdout.split()
    assert told[: len(expected)] == expected
    assert told[len(expected) :] == [b"no-mount", b"no-link"][len(expected) - 2 :]


async def test_a_read_only_rootfs_refuses_writing_but_its_tmpfs_and_volumes_take_it(
    tmp_path: Path, busybox_image: str
) -> None:
    script = (
        "for place in / /etc /root /scratch /volume /dev/shm; do"
        " touch $place/file 2>/dev/null && echo $place; done; df -k /scratch | tail -n 1; touch /etc/passwd"
    )

    def spec(bundle: ImageBundle) -> firkin.PodContainerSpec:
        tmpfs = firkin.Mount.tmpfs("/scratch", "nosuid", "nodev", "size=1m")
        return shell("a", bundle, script).read_only_rootfs().mount(tmpfs).empty_dir_mount("volume", "/volume")

    output = await _output(tmp_path, busybox_image, spec)
    places, usage = output.stdout.splitlines()[:-1], output.stdout.splitlines()[-1]
    assert places == [b"/scratch", b"/volume", b"/dev/shm"]
    assert usage.split()[1] == b"1024"
    assert b"Read-only file system" in output.stderr


async def _output(directory: Path, image: str, make: Callable[[ImageBundle], firkin.PodContainerSpec]) -> firkin.Output:
    async with real_runtime(directory) as runtime:
        bundle = await runtime.images.resolve(image)
        volume = firkin.EmptyDirVolume.disk("volume")
        spec = firkin.PodBuilder(f"pod-{os.getpid()}").empty_dir(volume).container(make(bundle)).build()
        async with runtime.spawn(spec) as pod, asyncio.timeout(HANG_SECONDS):
            return await pod.wait_container("a")
