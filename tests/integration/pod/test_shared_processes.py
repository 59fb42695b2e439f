"""Containers that share one process namespace."""

from __future__ import annotations

import asyncio
import signal as signals
from pathlib import Path

import pytest

import firkin
from firkin.domain.image import ImageBundle
from firkin.domain.process import ExitReason

from .pods import HANG_SECONDS, real_runtime, shell

pytestmark = pytest.mark.real_time


def _pod(*containers: firkin.PodContainerSpec) -> firkin.PodSpec:
    builder = firkin.PodBuilder("pod-1").share_process_namespace()
    for container in containers:
        builder = builder.container(container)
    return builder.build()


def _sleeper(container_id: str, bundle: ImageBundle) -> firkin.PodContainerSpec:
    return shell(container_id, bundle, "sleep 3600 & sleep 3601")


async def _processes(pod: firkin.Pod, container_id: str) -> list[str]:
    async with await pod.container(container_id).exec("ps", "-o", "args") as process:
        output = await process.wait_with_output()
    return output.stdout.decode().splitlines()[1:]


async def _until_asleep(pod: firkin.Pod, container_id: str, *times: int) -> None:
    """Until there are processes that sleep for so long, which its shell takes its time to start."""
    while not {f"sleep {time}" for time in times} <= set(await _processes(pod, container_id)):
        pass


async def test_a_container_sees_the_processes_of_the_others_and_can_signal_them(
    tmp_path: Path, busybox_image: str
) -> None:
    async with real_runtime(tmp_path) as runtime, asyncio.timeout(HANG_SECONDS):
        bundle = await runtime.images.resolve(busybox_image)
        async with runtime.spawn(_pod(_sleeper("one", bundle))) as pod:
            await _until_asleep(pod, "one", 3600, 3601)
            await pod.add_container(shell("two", bundle, "kill -USR1 $(pidof sleep) && echo $$"))
            assert int((await pod.wait_container("two")).stdout) > 1
            # The shell of `one` reports what ended its child; the rest of it ends with the shell.
            assert (await pod.wait_container("one")).status.code == 128 + signals.SIGUSR1


async def test_the_end_of_a_container_ends_its_own_processes_and_no_others(tmp_path: Path, busybox_image: str) -> None:
    async with real_runtime(tmp_path) as runtime, asyncio.timeout(HANG_SECONDS):
        bundle = await runtime.images.resolve(busybox_image)
        leaver = shell("leaver", bundle, "sleep 4000 & sh -c 'sleep 4001 & exit 0'; exit 3")
        async with runtime.spawn(_pod(_sleeper("stayer", bundle), leaver)) as pod:
            # The streams end too: nobody who could write to them is left.
            output = await pod.wait_container("leaver")
            assert output.status == firkin.ExitStatus(3)
            await _until_asleep(pod, "stayer", 3600, 3601)
            left = await _processes(pod, "stayer")
            assert [line for line in left if line.startswith("sleep 4")] == []
            assert sorted(line for line in left if line.startswith("sleep 36")) == ["sleep 3600", "sleep 3601"]
            await pod.container("stayer").kill(signals.SIGKILL)
            status = (await pod.wait_container("stayer")).status
            assert status == firkin.ExitStatus(137, 9, ExitReason.SIGNALED)
            # The namespace outlives its containers: further ones can join it.
            await pod.add_container(shell("late", bundle, "ps -o args"))
            lines = (await pod.wait_container("late")).stdout.splitlines()
            # Of a process that has ended, and that nobody waited for yet, ps has the name in brackets.
            assert [line for line in lines if line.startswith(b"sleep")] == []
            assert (await pod.stop()).clean


async def test_orphans_are_reaped_by_a_first_process_that_gives_nothing_away(
    tmp_path: Path, busybox_image: str
) -> None:
    # Whoever is not reaped is a zombie for good.
    orphans = (
        "for i in 1 2 3 4 5; do sh -c 'sleep 0.01 & exit 0'; done;"
        " while ps -o stat,args | grep -E '^Z|[s]leep 0.01$'; do sleep 0.05; done; echo reaped"
    )
    secrets = (
        "ls /proc/1/root/ || echo root-hidden; cat /proc/1/environ || echo environment-hidden; kill -9 1; kill -TERM 1"
    )
    async with real_runtime(tmp_path) as runtime, asyncio.timeout(HANG_SECONDS):
        bundle = await runtime.images.resolve(busybox_image)
        async with runtime.spawn(_pod(shell("one", bundle, orphans), shell("two", bundle, secrets))) as pod:
            assert (await pod.wait_container("one")).stdout.endswith(b"reaped\n")
            assert (await pod.wait_container("two")).stdout == b"root-hidden\nenvironment-hidden\n"
            await pod.add_container(shell("three", bundle, "exit 4"))
            assert (await pod.wait_container("three")).status.code == 4


async def test_a_container_that_may_trace_finds_an_empty_root_and_cannot_write_to_the_program(
    tmp_path: Path, busybox_image: str
) -> None:
    script = "ls -A /proc/1/root/ | wc -l; (: >> /proc/1/exe) 2>&1; ls /proc/1/cwd/ | wc -l; ls -l /proc/1/fd | wc -l"
    async with real_runtime(tmp_path) as runtime, asyncio.timeout(HANG_SECONDS):
        bundle = await runtime.images.resolve(busybox_image)
        tracer = shell("one", bundle, script).capabilities(add=["SYS_PTRACE"])
        async with runtime.spawn(_pod(tracer)) as pod:
            entries, refusal, directory, descriptors = (await pod.wait_container("one")).stdout.decode().splitlines()
    assert (entries, directory) == ("0", "0")
    assert any(word in refusal for word in ("Read-only file system", "Text file busy", "Permission denied"))
    assert int(descriptors) <= 4


async def test_processes_of_the_exec_api_are_exact_as_well(tmp_path: Path, busybox_image: str) -> None:
    async with real_runtime(tmp_path) as runtime, asyncio.timeout(HANG_SECONDS):
        bundle = await runtime.images.resolve(busybox_image)
        async with runtime.spawn(_pod(_sleeper("one", bundle), _sleeper("two", bundle))) as pod:
            async with await pod.container("one").exec("sh", "-c", "exit 9") as process:
                assert (await process.wait()).code == 9
            async with await pod.container("two").exec("sleep", "3602") as process:
                await process.kill(signals.SIGTERM)
                assert (await process.wait()).signal == signals.SIGTERM
            assert (await pod.stop()).clean
