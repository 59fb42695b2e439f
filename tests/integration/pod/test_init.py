"""Containers whose first process is an init."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import firkin
from firkin.domain.errors import CommandNotExecutable, CommandNotFound

from .pods import HANG_SECONDS, real_runtime, shell

pytestmark = pytest.mark.real_time

_ORPHAN = "(sleep 0.05 &); exec sleep 3600"


async def _line(container: firkin.Container) -> bytes:
    """What it writes until the end of a line."""
    assert container.stdout is not None
    line = b""
    while not line.endswith(b"\n") and (piece := await container.stdout.read(100)):
        line += piece
    return line


async def _sleepers(pod: firkin.Pod, container_id: str) -> list[str]:
    """States of the processes named `sleep` of a container, as its own /proc has them: Z for a zombie."""
    script = "for each in /proc/[0-9]*/stat; do cut -d' ' -f2,3 $each; done 2>/dev/null"
    async with await pod.container(container_id).exec("sh", "-c", script) as process:
        lines = (await process.wait_with_output()).stdout.decode().splitlines()
    return [state for name, _, state in (line.rpartition(" ") for line in lines) if name == "(sleep)"]


async def test_an_init_exits_as_its_command_does_and_passes_its_streams_on(tmp_path: Path, busybox_image: str) -> None:
    async with real_runtime(tmp_path) as runtime:
        bundle = await runtime.images.resolve(busybox_image)
        script = "cat; echo $$ $PPID; exit 7"
        echo = shell("echo", bundle, script).init().stdin(firkin.Stdio.PIPED).user("1000").read_only_rootfs()
        killed = shell("killed", bundle, "kill -9 $$").init()
        async with runtime.spawn(firkin.PodBuilder("pod-1").container(echo).container(killed).build()) as pod:
            stdin = pod.container("echo").stdin
            assert stdin is not None
            await stdin.write(b"in\x00and out\n")
            await stdin.aclose()
            output = await pod.wait_container("echo")
            assert (output.status.code, output.stdout) == (7, b"in\x00and out\n2 1\n")
            assert (await pod.wait_container("killed")).status.code == 137


async def test_signals_reach_the_command_of_an_init_and_end_it_also_when_it_handles_none(
    tmp_path: Path, busybox_image: str
) -> None:
    async with real_runtime(tmp_path) as runtime:
        bundle = await runtime.images.resolve(busybox_image)
        handling = shell("handling", bundle, "trap 'echo got it; exit 5' TERM; echo up; while :; do sleep 0.05; done")
        plain = shell("plain", bundle, "").command("sleep", "3600")
        builder = firkin.PodBuilder("pod-1").container(handling.init()).container(plain.init())
        async with runtime.spawn(builder.build()) as pod:
            assert await _line(pod.container("handling")) == b"up\n"
            # From then on its init passes signals on; before it blocks them they are lost on a first process.
            while not await _sleepers(pod, "plain"):
                pass
            # Ten minutes of grace that nobody needs: a first process of its own would sleep through them.
            async with asyncio.timeout(300):
                assert (await pod.container("handling").stop(600)).code == 5
                assert (await pod.container("plain").stop(600)).code == 143


async def test_orphans_are_reaped_by_an_init_and_stay_zombies_without_one(tmp_path: Path, busybox_image: str) -> None:
    async with real_runtime(tmp_path) as runtime, asyncio.timeout(HANG_SECONDS):
        bundle = await runtime.images.resolve(busybox_image)
        pod_spec = firkin.PodBuilder("pod-1").container(shell("without", bundle, _ORPHAN))
        async with runtime.spawn(pod_spec.container(shell("with", bundle, _ORPHAN).init()).build()) as pod:
            # Of the two processes of that name one is the command.
            while sorted(await _sleepers(pod, "without")) != ["S", "Z"]:
                pass
            while await _sleepers(pod, "with") != ["S"]:
                pass
            assert sorted(await _sleepers(pod, "without")) == ["S", "Z"]
            # One of them, as a first process without an init, hears no SIGTERM.
            await pod.stop(0)


async def test_the_command_of_an_init_has_the_terminal(tmp_path: Path, busybox_image: str) -> None:
    async with real_runtime(tmp_path) as runtime, asyncio.timeout(HANG_SECONDS):
        bundle = await runtime.images.resolve(busybox_image)
        script = "stty -echo; stty size; read line < /dev/tty; echo read $line"
        spec = shell("a", bundle, script).stderr(firkin.Stdio.NULL).init().tty(size=(91, 17)).stdin(firkin.Stdio.PIPED)
        async with runtime.spawn(firkin.PodBuilder("pod-1").container(spec).build()) as pod:
            container = pod.container("a")
            assert container.stdin is not None
            assert await _line(container) == b"17 91\r\n"
            await container.stdin.write(b"a line\n")
            assert (await pod.wait_container("a")).stdout.endswith(b"read a line\r\n")


@pytest.mark.parametrize(
    ("command", "error"),
    [("nonsense", CommandNotFound), ("/no/such/file", CommandNotFound), ("/etc/passwd", CommandNotExecutable)],
)
async def test_what_an_init_cannot_run_is_told_as_without_one(
    tmp_path: Path, busybox_image: str, command: str, error: type[firkin.FirkinError]
) -> None:
    async with real_runtime(tmp_path) as runtime:
        bundle = await runtime.images.resolve(busybox_image)
        async with runtime.spawn(firkin.PodBuilder("pod-1").build()) as pod:
            with pytest.raises(error, match=command):
                await pod.add_container(shell("a", bundle, "").command(command).init())


async def test_a_command_that_a_volume_brings_runs_below_an_init(tmp_path: Path, busybox_image: str) -> None:
    async with real_runtime(tmp_path) as runtime:
        bundle = await runtime.images.resolve(busybox_image)
        builder = firkin.PodBuilder("pod-1").empty_dir(firkin.EmptyDirVolume.memory("tools"))
        copying = shell("copy", bundle, "cp /bin/busybox /tools/echo").empty_dir_mount("tools", "/tools")
        running = shell("run", bundle, "").command("/opt/echo", "fine").init().empty_dir_mount("tools", "/opt")
        spec = builder.init_container(copying).container(running).build()
        async with runtime.spawn(spec) as pod:
            assert (await pod.wait_container("run")).stdout == b"fine\n"


async def test_containers_that_share_processes_may_have_inits(tmp_path: Path, busybox_image: str) -> None:
    async with real_runtime(tmp_path) as runtime:
        bundle = await runtime.images.resolve(busybox_image)
        spec = firkin.PodBuilder("pod-1").share_process_namespace().container(shell("a", bundle, "exit 3").init())
        async with runtime.spawn(spec.build()) as pod:
            assert (await pod.wait_container("a")).status.code == 3
