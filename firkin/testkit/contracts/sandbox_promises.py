"""What a VMM says that its sandboxes enforce (`Vmm.capabilities`) is true of what runs in them."""

from __future__ import annotations

import asyncio
import signal
import socket
from pathlib import Path

import pytest

from firkin.domain.container_spec import PodContainerSpec
from firkin.domain.digest import Digest
from firkin.domain.errors import HostPathRefused, UnsupportedFeature, UserNotMapped
from firkin.domain.host_paths import HostPathVolume
from firkin.domain.ids import VolumeName
from firkin.domain.pod_spec import PodBuilder
from firkin.domain.process import ExitReason, ExitStatus
from firkin.domain.reports import OOM_REPORTS, STATISTICS
from firkin.domain.store_spec import PodStoreSpec
from firkin.domain.volumes import EmptyDirVolume
from firkin.ports.sandbox import TakesFiles, TellsState, TimedBoot

from ..busybox_image import busybox_program
from ..claims import not_claimed
from ..sandbox_pods import SandboxPods

MIB = 2**20
_STATE_SECONDS = 30.0
"""It promises a second for each; this is beyond it on a machine that is busy."""
_BOOT_ID = "/proc/sys/kernel/random/boot_id"


async def test_a_memory_limit_ends_who_goes_beyond_it_and_nobody_else(firkin_pods: SandboxPods) -> None:
    with firkin_pods.claiming("memory limit"):
        eater = firkin_pods.shell("eater", "exec tail /dev/zero").limits(memory=16 * MIB)
        neighbour = firkin_pods.shell("neighbour", "sleep 0.5; echo fine").limits(memory=16 * MIB)
        outputs = await firkin_pods.outputs(PodBuilder("pod-1"), eater, neighbour)
        assert outputs["eater"].status.reason is ExitReason.OOM_KILLED
        assert outputs["neighbour"].stdout == b"fine\n"


async def test_a_kill_for_want_of_memory_is_told_as_such_and_no_other_kill(firkin_pods: SandboxPods) -> None:
    if not firkin_pods.enforces(OOM_REPORTS):
        return not_claimed(OOM_REPORTS)
    eater = firkin_pods.shell("eater", "exec tail /dev/zero").limits(memory=16 * MIB)
    async with firkin_pods.running(eater) as pod:
        assert (await pod.wait_container("eater")).status.reason is ExitReason.OOM_KILLED
        await pod.add_container(firkin_pods.shell("killed", "exec sleep 1000").limits(memory=16 * MIB))
        await pod.container("killed").kill(signal.SIGKILL)
        assert (await pod.wait_container("killed")).status == ExitStatus.from_signal(signal.SIGKILL)


async def test_statistics_count_what_processes_used_that_have_ended(firkin_pods: SandboxPods) -> None:
    if not firkin_pods.enforces(STATISTICS):
        return not_claimed(STATISTICS)
    script = "(i=0; while [ $i -lt 100000 ]; do i=$((i + 1)); done); times; exec sleep 1000"
    async with firkin_pods.running(firkin_pods.shell("one", script)) as pod:
        container = pod.container("one")
        assert container.stdout is not None
        # The shell's own times, and those of its child that ended.
        _, of_child = [await container.stdout.read_line() for _ in range(2)]
        ended = sum(map(_seconds, of_child.decode().split()))
        statistics = await container.stats()
    assert (statistics.cpu.usage_usec or 0) / 1e6 > 0.8 * ended > 0
    assert (statistics.memory.usage_bytes or 0) > 0
    assert statistics.processes.current == 1


async def test_a_limit_of_processes_holds(firkin_pods: SandboxPods) -> None:
    with firkin_pods.claiming("pids limit"):
        script = "(while :; do sleep 1000 & done) 2>/dev/null; set -- /proc/[0-9]*; echo $#"
        outputs = await firkin_pods.outputs(PodBuilder("pod-1"), firkin_pods.shell("forks", script).limits(pids=12))
        assert 3 <= int(outputs["forks"].stdout) <= 12


async def test_a_limit_of_processors_holds(firkin_pods: SandboxPods) -> None:
    with firkin_pods.claiming("cpu limit"):
        # A tenth of a processor for two seconds and a bit by the clock, whatever else the machine does.
        script = "end=$(($(date +%s) + 3)); while [ $(date +%s) -lt $end ]; do :; done; times"
        outputs = await firkin_pods.outputs(PodBuilder("pod-1"), firkin_pods.shell("busy", script).limits(cpus=0.1))
        assert 0 < sum(map(_seconds, outputs["busy"].stdout.decode().split())) < 1


def _seconds(text: str) -> float:
    """As the shell's `times` has it: `0m0.25s`."""
    minutes, _, seconds = text.rstrip("s").partition("m")
    return int(minutes) * 60 + float(seconds)


async def test_volumes_hold_their_size_and_no_more(firkin_pods: SandboxPods) -> None:
    for name, volume in (
        ("memory emptyDir size limit", EmptyDirVolume.memory("work", MIB)),
        ("disk emptyDir size limit", EmptyDirVolume.disk("work", MIB)),
    ):
        with firkin_pods.claiming(name):
            script = "dd if=/dev/zero of=/work/file bs=4096 count=1000; stat -c %s /work/file"
            writer = firkin_pods.shell("writer", script).empty_dir_mount("work", "/work")
            outputs = await firkin_pods.outputs(PodBuilder("pod-1").empty_dir(volume), writer)
            assert int(outputs["writer"].stdout) <= 1.03 * MIB
            assert b"No space left" in outputs["writer"].stderr


async def test_a_writable_layer_holds_its_size_and_no_more(firkin_pods: SandboxPods) -> None:
    with firkin_pods.claiming("writable layer size limit"):
        script = "dd if=/dev/zero of=/file bs=4096 count=1000; stat -c %s /file"
        writer = firkin_pods.shell("writer", script).writable_layer_limit(MIB)
        neighbour = firkin_pods.shell("neighbour", script)
        outputs = await firkin_pods.outputs(PodBuilder("pod-1"), writer, neighbour)
        assert MIB * 0.9 < int(outputs["writer"].stdout) <= 1.06 * MIB
        assert any(told in outputs["writer"].stderr for told in (b"No space left", b"quota exceeded"))
        assert outputs["neighbour"].stdout == b"4096000\n"


async def test_a_store_holds_its_size_and_gives_back_what_was_deleted(firkin_pods: SandboxPods) -> None:
    if not (firkin_pods.enforces("store size limit") and firkin_pods.enforces("store trim")):
        return not_claimed("sizes of stores")
    script = "dd if=/dev/zero of=/file bs=65536 count=4096; stat -c %s /file; rm /file"
    filler = firkin_pods.shell("filler", script)
    async with firkin_pods.running(filler, PodStoreSpec(size=64 * MIB)) as pod:
        output = await pod.wait_container("filler")
        report = await pod.shutdown_trimming_store()
    assert 16 * MIB < int(output.stdout) < 64 * MIB
    assert b"No space left" in output.stderr
    assert (report.trimmed_bytes or 0) >= int(output.stdout)


async def test_the_hosts_network_is_out_of_reach(firkin_pods: SandboxPods) -> None:
    with firkin_pods.claiming("network isolation"), socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        script = f"nc -w 2 127.0.0.1 {port} </dev/null && echo reached; cat /proc/net/dev | wc -l"
        outputs = await firkin_pods.outputs(PodBuilder("pod-1"), firkin_pods.shell("caller", script))
        assert b"reached" not in outputs["caller"].stdout


async def test_the_hosts_processes_are_out_of_sight(firkin_pods: SandboxPods) -> None:
    with firkin_pods.claiming("process isolation"):
        outputs = await firkin_pods.outputs(
            PodBuilder("pod-1"), firkin_pods.shell("looker", "echo $$; echo /proc/[0-9]*")
        )
        assert outputs["looker"].stdout == b"1\n/proc/1\n"


async def test_a_kernel_of_its_own_is_another_one(firkin_pods: SandboxPods) -> None:
    outputs = await firkin_pods.outputs(PodBuilder("pod-1"), firkin_pods.shell("asks", f"cat {_BOOT_ID}"))
    is_the_hosts = outputs["asks"].stdout == _host_file(_BOOT_ID)
    assert is_the_hosts is not firkin_pods.enforces("kernel isolation")


def _host_file(path: str) -> bytes:
    return Path(path).read_bytes()


async def test_roots_id_inside_is_another_one_outside(firkin_pods: SandboxPods) -> None:
    outputs = await firkin_pods.outputs(PodBuilder("pod-1"), firkin_pods.shell("asks", "cat /proc/self/uid_map"))
    is_the_hosts = outputs["asks"].stdout == _host_file("/proc/self/uid_map")
    assert not (is_the_hosts and firkin_pods.enforces("user isolation"))


async def test_the_users_of_an_image_run_its_commands(firkin_pods: SandboxPods) -> None:
    asks = firkin_pods.shell("asks", "id -u; id -g").user("app")
    try:
        outputs = await firkin_pods.outputs(PodBuilder("pod-1"), asks)
    except UserNotMapped:
        assert not firkin_pods.enforces("users of images")
        return not_claimed("users of images")
    assert outputs["asks"].stdout.split() == [b"1000", b"1000"]


async def test_a_path_of_the_host_that_nobody_allowed_is_not_shown(firkin_pods: SandboxPods, tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    volume = HostPathVolume(VolumeName("secret"), str(tmp_path / "secret"))
    with pytest.raises((HostPathRefused, UnsupportedFeature)):
        await firkin_pods.outputs(PodBuilder("pod-1").host_path(volume), firkin_pods.shell("asks", "true"))


async def test_a_system_call_that_nobody_needs_is_filtered(firkin_pods: SandboxPods) -> None:
    outputs = await firkin_pods.outputs(
        PodBuilder("pod-1"), firkin_pods.shell("asks", "grep Seccomp: /proc/self/status")
    )
    is_filtered = outputs["asks"].stdout.split()[1:] == [b"2"]
    assert is_filtered or not firkin_pods.enforces("seccomp")


async def test_what_is_told_of_the_boot_adds_up(firkin_pods: SandboxPods) -> None:
    async with firkin_pods.running(firkin_pods.shell("one", "true")) as pod:
        if not isinstance(pod.vm, TimedBoot):
            return not_claimed("an account of the boot")
        assert pod.boot_timing is not None, "the agent listens, or there would be no pod"
        seconds = pod.boot_timing.phases.values()
        assert all(pod.boot_timing.phases)
        assert min(seconds) >= 0
        assert pod.boot_timing.seconds == sum(seconds) > 0


async def test_how_it_is_can_be_asked_while_it_runs(firkin_pods: SandboxPods) -> None:
    async with firkin_pods.running(firkin_pods.shell("one", "true")) as pod:
        if not isinstance(pod.vm, TellsState):
            return not_claimed("an account of its state")
        async with asyncio.timeout(_STATE_SECONDS):
            states = [await pod.vm.state() for _ in range(2)]
        assert states[0].condition == states[1].condition != ""


async def test_layers_arrive_whole_where_their_files_are_handed_over(firkin_pods: SandboxPods) -> None:
    async with firkin_pods.running(firkin_pods.shell("one", "sha256sum /bin/busybox")) as pod:
        if not (isinstance(pod.vm, TakesFiles) and pod.vm.takes_files):
            return not_claimed("streams that take files")
        told = (await pod.wait_container("one")).stdout.decode().split()
        assert told == [Digest.of(busybox_program().read_bytes()).hex, "/bin/busybox"]


async def test_nothing_is_left_on_the_host(firkin_pods: SandboxPods) -> None:
    def container(number: int) -> PodContainerSpec:
        return firkin_pods.shell(f"c{number}", "echo done")

    for _ in range(2):
        outputs = await firkin_pods.outputs(PodBuilder("pod-1"), *(container(number) for number in range(3)))
        assert {output.stdout for output in outputs.values()} == {b"done\n"}
    assert firkin_pods.leftovers() == []
