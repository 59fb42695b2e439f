"""Pods for real: gRPC between two processes, namespaces, crun, and an image that umoci made."""

from __future__ import annotations

import asyncio
import signal as signals
from pathlib import Path

import pytest

import firkin
from firkin.domain.lifecycle import PodPhase
from firkin.domain.process import ExitReason
from firkin.errors import (
    CommandNotExecutable,
    CommandNotFound,
    ContainerNotRunning,
    PathRefused,
    PodExists,
    SandboxDied,
    StoreFull,
    UserUnknown,
)
from tests.machine_state import MachineState, settled_state

from .pods import HANG_SECONDS, kill_agent, real_runtime, shell

pytestmark = pytest.mark.real_time


@pytest.mark.parametrize("store", ["directory", pytest.param("ext4", marks=pytest.mark.needs_root)])
async def test_containers_share_volumes_and_network_and_leave_nothing(
    tmp_path: Path, busybox_image: str, store: str
) -> None:
    before = await settled_state()
    async with real_runtime(tmp_path, store) as runtime:
        bundle = await runtime.images.resolve(busybox_image)
        server = shell(
            "server", bundle, "echo from-a-volume > /shared/file; echo over-tcp > said; nc -l -p 7000 < said"
        )
        client = shell(
            "client",
            bundle,
            "until [ -s /shared/file ]; do sleep 0.05; done; cat /shared/file;"
            "until nc 127.0.0.1 7000 </dev/null; do sleep 0.05; done",
        )
        spec = (
            firkin.PodBuilder("pod-1")
            .empty_dir(firkin.EmptyDirVolume.memory("shared", firkin.Size.mib(1)))
            .container(server.empty_dir_mount("shared", "/shared"))
            .container(client.empty_dir_mount("shared", "/shared", read_only=True))
            .build()
        )
        async with runtime.spawn(spec) as pod, asyncio.timeout(HANG_SECONDS):
            assert (await pod.trim_store() == 0) == (store == "directory")
            assert (await pod.wait_container("client")).stdout == b"from-a-volume\nover-tcp\n"
            assert (await pod.wait_container("server")).status.success
            report = await pod.stop()
        assert report.clean, report
    assert MachineState.now().beyond(before) == {}
    assert not list((tmp_path / "run").glob("*/*"))
    assert not list((tmp_path / "state").glob("**/pods/pod-1"))


async def test_exit_codes_signals_and_streams_are_exact(tmp_path: Path, busybox_image: str) -> None:
    async with real_runtime(tmp_path) as runtime:
        bundle = await runtime.images.resolve(busybox_image)
        async with runtime.spawn(firkin.PodBuilder("pod-1").build()) as pod:
            await pod.add_container(shell("code", bundle, "printf out; printf err >&2; exit 7"))
            output = await pod.wait_container("code")
            assert (output.status.code, output.stdout, output.stderr) == (7, b"out", b"err")
            await pod.add_container(shell("signal", bundle, "sleep 1000"))
            await pod.container("signal").kill(signals.SIGKILL)
            assert (await pod.wait_container("signal")).status == firkin.ExitStatus(137, 9, ExitReason.SIGNALED)
            await pod.add_container(shell("bytes", bundle, "head -c 30000000 /dev/zero").stderr(firkin.Stdio.NULL))
            assert (await pod.wait_container("bytes")).stdout == bytes(30_000_000)


@pytest.mark.parametrize(
    ("command", "error", "reason"),
    [
        ("nonsense", CommandNotFound, "was not found"),
        ("/no/such/file", CommandNotFound, "was not found"),
        ("/etc/passwd", CommandNotExecutable, "Permission denied"),
        ("/bin", CommandNotExecutable, "it is a directory"),
    ],
)
async def test_a_command_that_cannot_run_is_told_apart_and_its_id_stays_usable(
    tmp_path: Path, busybox_image: str, command: str, error: type[firkin.FirkinError], reason: str
) -> None:
    async with real_runtime(tmp_path) as runtime:
        bundle = await runtime.images.resolve(busybox_image)
        async with runtime.spawn(firkin.PodBuilder("pod-1").build()) as pod:
            with pytest.raises(error, match=reason) as caught:
                await pod.add_container(shell("a", bundle, "").command(command))
            assert caught.value.exit_code == (127 if error is CommandNotFound else 126)
            assert (caught.value.pod_id, caught.value.container_id) == ("pod-1", "a")
            await pod.add_container(shell("a", bundle, "echo fine"))
            assert (await pod.wait_container("a")).stdout == b"fine\n"


@pytest.mark.needs_ids
async def test_user_environment_and_directory_are_those_of_the_image_unless_overridden(
    tmp_path: Path, busybox_variant_image: str
) -> None:
    script = 'echo "$GREETING|$HOME|$PWD|$(id -u):$(id -g)|$(id -G)"'
    async with real_runtime(tmp_path) as runtime:
        bundle = await runtime.images.resolve(busybox_variant_image)
        async with runtime.spawn(firkin.PodBuilder("pod-1").build()) as pod:
            await pod.add_container(shell("image", bundle, script))
            line = b"from the image|/home/app|/srv/work|1000:1000|1000 2000\n"
            assert (await pod.wait_container("image")).stdout == line
            own = shell("own", bundle, script).env("GREETING", "mine").user("0").working_dir("/tmp")
            await pod.add_container(own)
            assert (await pod.wait_container("own")).stdout.startswith(b"mine|/root|/tmp|0:0|0")
            with pytest.raises(UserUnknown):
                await pod.add_container(shell("nobody", bundle, script).user("stranger"))


@pytest.mark.needs_ids
async def test_exec_inherits_and_overrides(tmp_path: Path, busybox_image: str) -> None:
    async with real_runtime(tmp_path) as runtime:
        bundle = await runtime.images.resolve(busybox_image)
        main = shell("main", bundle, "sleep 1000").env("KEPT", "yes").working_dir("/tmp").user("app")
        async with runtime.spawn(firkin.PodBuilder("pod-1").container(main).build()) as pod:
            container = pod.container("main")
            script = 'echo "$KEPT $PWD $(id -u)"; cat; exit 5'
            process = await container.exec("sh", "-c", script, stdin=firkin.Stdio.PIPED)
            assert process.stdin is not None
            await process.stdin.write(b"through stdin")
            await process.stdin.aclose()
            output = await process.wait_with_output()
            assert (output.status.code, output.stdout) == (5, b"yes /tmp 1000\nthrough stdin")
            root = await container.exec("id", "-u", user=0)
            assert (await root.wait_with_output()).stdout == b"0\n"
            with pytest.raises(CommandNotFound):
                await container.exec("nonsense")
            await container.stop(0)
            with pytest.raises(ContainerNotRunning):
                await container.exec("true")


async def test_a_process_that_obeys_is_stopped_at_once_and_one_that_does_not_is_killed(
    tmp_path: Path, busybox_image: str
) -> None:
    obedient = "trap 'exit 3' TERM; echo ready; while :; do sleep 0.01; done"
    stubborn = "trap '' TERM; echo ready; while :; do sleep 0.01; done"
    async with real_runtime(tmp_path) as runtime:
        bundle = await runtime.images.resolve(busybox_image)
        spec = (
            firkin.PodBuilder("pod-1")
            .container(shell("obedient", bundle, obedient).stop_grace(30))
            .container(shell("stubborn", bundle, stubborn).stop_grace(0.3))
            .build()
        )
        pod = await runtime.spawn(spec)
        for name in ("obedient", "stubborn"):
            stdout = pod.container(name).stdout
            assert stdout is not None
            assert await stdout.read_line() == b"ready\n"
        report = await pod.stop()
        obedient_report, stubborn_report = report.containers
        assert (obedient_report.status, obedient_report.killed) == (firkin.ExitStatus(3), False)
        assert stubborn_report.killed
        assert stubborn_report.status == firkin.ExitStatus(137, signals.SIGKILL, ExitReason.SIGNALED)
        assert report.clean, report


async def test_the_files_of_a_container_survive_its_restart_and_not_its_removal(
    tmp_path: Path, busybox_image: str
) -> None:
    script = "echo run >> /log; cat /log"
    async with real_runtime(tmp_path) as runtime:
        bundle = await runtime.images.resolve(busybox_image)
        async with runtime.spawn(firkin.PodBuilder("pod-1").container(shell("a", bundle, script)).build()) as pod:
            assert (await pod.wait_container("a")).stdout == b"run\n"
            await pod.restart_container("a")
            assert (await pod.wait_container("a")).stdout == b"run\nrun\n"
            assert (await pod.remove_container("a")).success
            await pod.add_container(shell("a", bundle, script))
            assert (await pod.wait_container("a")).stdout == b"run\n"


async def test_a_written_file_is_seen_and_a_planted_symlink_is_refused(tmp_path: Path, busybox_image: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    async with real_runtime(tmp_path) as runtime:
        bundle = await runtime.images.resolve(busybox_image)
        script = f"ln -s {outside} /work/link; ln -s {outside}/file /work/file-link; cat /work/in/file"
        spec = firkin.PodBuilder("pod-1").empty_dir(firkin.EmptyDirVolume.disk("work")).build()
        async with runtime.spawn(spec) as pod:
            await pod.write_empty_dir_file("work", "in/file", b"hello")
            await pod.add_container(shell("a", bundle, script).empty_dir_mount("work", "/work"))
            assert (await pod.wait_container("a")).stdout == b"hello"
            with pytest.raises(PathRefused):
                await pod.write_empty_dir_file("work", "link/file", b"x")
            with pytest.raises(PathRefused):
                await pod.write_empty_dir_file("work", "file-link", b"x")
    assert list(outside.iterdir()) == []


async def test_the_second_pod_of_a_store_reuses_its_templates(tmp_path: Path, busybox_image: str) -> None:
    async with real_runtime(tmp_path) as runtime:
        bundle = await runtime.images.resolve(busybox_image)
        async with runtime.spawn(firkin.PodBuilder("one").container(shell("a", bundle, "true")).build()):
            (template,) = (tmp_path / "state/store/templates").glob("sha256-*/rootfs")
            made = template.stat().st_ctime_ns
    again = firkin.PodBuilder("two").container(shell("a", bundle, "true")).build()
    async with real_runtime(tmp_path) as runtime, runtime.spawn(again):
        assert template.stat().st_ctime_ns == made


@pytest.mark.needs_root
async def test_a_full_store_is_told_and_a_smaller_container_still_runs(tmp_path: Path, busybox_image: str) -> None:
    async with real_runtime(tmp_path, "ext4") as runtime:
        bundle = await runtime.images.resolve(busybox_image)
        store = firkin.PodStoreSpec(size=firkin.Size.mib(24))
        spec = firkin.PodBuilder("pod-1", pod_store=store).empty_dir(firkin.EmptyDirVolume.disk("work")).build()
        async with runtime.spawn(spec) as pod:
            filler = shell("filler", bundle, "dd if=/dev/zero of=/work/full bs=1M; echo $?")
            await pod.add_container(filler.empty_dir_mount("work", "/work"))
            output = await pod.wait_container("filler")
            assert b"No space left on device" in output.stderr
            with pytest.raises(StoreFull):
                await pod.write_empty_dir_file("work", "more", bytes(2**20))
            cleaner = await pod.add_container(
                shell("cleaner", bundle, "rm /work/full").empty_dir_mount("work", "/work")
            )
            assert (await cleaner.wait()).success
            await pod.write_empty_dir_file("work", "more", bytes(2**20))


async def test_the_death_of_the_agent_ends_everything_and_is_told(tmp_path: Path, busybox_image: str) -> None:
    before = await settled_state()
    async with real_runtime(tmp_path) as runtime:
        bundle = await runtime.images.resolve(busybox_image)
        pod = await runtime.spawn(firkin.PodBuilder("pod-1").container(shell("a", bundle, "sleep 1000")).build())
        async with asyncio.TaskGroup() as group, asyncio.timeout(HANG_SECONDS):
            waiting = group.create_task(_sandbox_died(pod))
            await asyncio.sleep(0)
            # Asked to end, it might still tell how its containers did.
            kill_agent(pod)
            await waiting
        assert pod.state is PodPhase.FAILED
        report = await pod.stop()
        assert not report.clean
    assert MachineState.now().beyond(before) == {}


async def _sandbox_died(pod: firkin.Pod) -> None:
    with pytest.raises(SandboxDied):
        await pod.container("a").wait()


async def test_two_pods_of_one_id_on_one_store_are_told_apart_across_runtimes(tmp_path: Path) -> None:
    async with (
        real_runtime(tmp_path) as one,
        real_runtime(tmp_path) as other,
        one.spawn(firkin.PodBuilder("pod-1").build()),
    ):
        with pytest.raises(PodExists):
            await other.spawn(firkin.PodBuilder("pod-1").build())
        async with other.spawn(firkin.PodBuilder("pod-2").build()) as second:
            assert second.state is PodPhase.RUNNING


async def test_spawn_cancelled_at_many_moments_leaves_nothing(tmp_path: Path, busybox_image: str) -> None:
    before = await settled_state()
    async with real_runtime(tmp_path) as runtime:
        bundle = await runtime.images.resolve(busybox_image)
        for number in range(12):
            spec = firkin.PodBuilder("pod-1").container(shell("a", bundle, "sleep 1000")).build()
            try:
                async with asyncio.timeout(0.04 * number), runtime.spawn(spec):
                    break
            except TimeoutError:
                assert MachineState.now().beyond(before) == {}, f"cancelled after {0.04 * number:.2f} s"
    assert MachineState.now().beyond(before) == {}


async def test_the_system_calls_of_containers_and_execs_are_filtered(tmp_path: Path, busybox_image: str) -> None:
    script = "grep Seccomp: /proc/self/status; unshare -n true && echo escaped"
    async with real_runtime(tmp_path) as runtime:
        bundle = await runtime.images.resolve(busybox_image)
        main = shell("main", bundle, f"{script}; sleep 1000").capabilities(add=["SYS_ADMIN"])
        plain = shell("plain", bundle, script)
        async with runtime.spawn(firkin.PodBuilder("pod-1").container(main).container(plain).build()) as pod:
            output = await pod.wait_container("plain")
            assert (output.stdout.split(), b"not permitted" in output.stderr) == ([b"Seccomp:", b"2"], True)
            exec_output = await (await pod.container("main").exec("sh", "-c", script)).wait_with_output()
            # The profile allows unshare(2) to whoever has SYS_ADMIN, and to nobody else.
            assert exec_output.stdout.split() == [b"Seccomp:", b"2", b"escaped"]
            await pod.stop(0)
