"""Copies, statistics, processes, space and events of real pods."""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path

import pytest

import firkin
from firkin.domain.events import ContainerPhaseChanged, Event, OutOfMemory, PodPhaseChanged, ProcessExited
from firkin.domain.image import ImageBundle
from firkin.domain.lifecycle import PodPhase
from firkin.domain.process import ExitReason
from firkin.errors import CopyFailed, PathRefused

from .pods import HANG_SECONDS, real_runtime, shell

pytestmark = pytest.mark.real_time

_HUNGRY = ("sh", "-c", "tail /dev/zero | wc -c")
_BUSY = ("sh", "-c", "while :; do :; done")


def _limited_pod(bundle: ImageBundle) -> firkin.PodSpec:
    limited = shell("a", bundle, "sleep 1000").limits(memory=64 * 2**20, cpus=0.5, pids=50)
    return firkin.PodBuilder("pod-1").container(limited).container(shell("b", bundle, "sleep 1000")).build()


@pytest.mark.needs_ids
async def test_copies_see_a_container_as_it_sees_itself(tmp_path: Path, busybox_image: str) -> None:
    (tmp_path / "file").write_text("from the host")
    async with real_runtime(tmp_path) as runtime:
        bundle = await runtime.images.resolve(busybox_image)
        wait = "until [ -e /shared/go ]; do sleep 0.02; done;"
        spec = (
            firkin.PodBuilder("pod-1")
            .empty_dir(firkin.EmptyDirVolume.memory("shared"))
            .container(
                shell("a", bundle, f"{wait} cat /shared/file /inside/file; stat -c %u:%g /shared/file; echo $(id -u)")
                .user("12:34")
                .empty_dir_mount("shared", "/shared")
                .mount(firkin.Mount.tmpfs("/inside"))
            )
            .container(shell("b", bundle, "sleep 1000").empty_dir_mount("shared", "/shared").read_only_rootfs())
            .build()
        )
        async with runtime.spawn(spec) as pod, asyncio.timeout(HANG_SECONDS):
            a, b = pod.container("a"), pod.container("b")
            await a.copy_in(tmp_path / "file", "/shared")
            await a.copy_in(tmp_path / "file", "/inside/")
            report = await b.copy_out("/shared/file", tmp_path / "back")
            assert (report.path, report.left_out) == (str(tmp_path / "back"), ())
            # A root filesystem that is read-only for the container is so for copies.
            with pytest.raises(firkin.FirkinError, match="Read-only file system"):
                await b.copy_in(tmp_path / "file", "/etc/file")
            await a.copy_in(tmp_path / "file", "/shared/go")
            output = await pod.wait_container("a")
            assert output.stdout.decode() == "from the hostfrom the host12:34\n12\n", output
            with pytest.raises(CopyFailed, match="has ended"):
                await a.copy_out("/shared/file", tmp_path / "late")
            await a.copy_in(tmp_path / "file", "/etc/late")
            await a.copy_out("/etc/late", tmp_path / "late")
            await pod.stop(0)
    assert (tmp_path / "back").read_text() == (tmp_path / "late").read_text() == "from the host"


async def test_symlinks_that_a_container_plants_lead_nowhere(tmp_path: Path, busybox_image: str) -> None:
    (tmp_path / "file").write_text("from the host")
    (tmp_path / "tree" / "sub").mkdir(parents=True)
    (tmp_path / "tree" / "sub" / "file").write_text("deep")
    secret = tmp_path / "secret"
    secret.write_text("secret")
    planted = f"""
        ln -s {secret} /to-secret; ln -s {tmp_path} /to-directory; ln -s /proc/1/root/proc/self/root /to-root
        mkdir /tmp/tree; ln -s {tmp_path} /tmp/tree/sub; ln -s /../../../../etc/passwd /up
        mkfifo /tmp/pipe; mkdir /out; ln -s {tmp_path} /out/link; touch /out/file; mkfifo /out/pipe
        echo ready; sleep 1000
    """
    async with real_runtime(tmp_path) as runtime:
        bundle = await runtime.images.resolve(busybox_image)
        async with runtime.spawn(firkin.PodBuilder("pod-1").container(shell("a", bundle, planted)).build()) as pod:
            container = pod.container("a")
            async with asyncio.timeout(HANG_SECONDS):
                assert container.stdout is not None
                assert await container.stdout.read_line() == b"ready\n"
                with pytest.raises(CopyFailed):
                    await container.copy_out("/to-secret", tmp_path / "stolen")
                with pytest.raises((CopyFailed, PathRefused)):
                    await container.copy_out("/to-root/etc/hostname", tmp_path / "stolen")
                with pytest.raises(CopyFailed):
                    await container.copy_in(tmp_path / "file", "/to-directory/outside")
                with pytest.raises(CopyFailed):
                    await container.copy_out("/tmp/pipe", tmp_path / "stolen")
                with pytest.raises(CopyFailed):
                    await container.copy_in(tmp_path / "tree", "/tmp")
                await container.copy_in(tmp_path / "file", "/to-secret")
                await container.copy_out("/up", tmp_path / "passwd")
                report = await container.copy_out("/out", tmp_path / "out")
                await pod.stop(0)
    assert secret.read_text() == "secret"
    assert not (tmp_path / "stolen").exists()
    assert not (tmp_path / "outside").exists()
    assert "busybox" in (tmp_path / "passwd").read_text() or "root" in (tmp_path / "passwd").read_text()
    assert report.left_out == ("pipe: it is a named pipe",)
    assert stat.S_ISLNK((tmp_path / "out" / "link").lstat().st_mode)
    # What was planted on the host by the first copy does not lead the second one out.
    assert sorted(os.listdir(tmp_path / "out")) == ["file", "link"]


@pytest.mark.needs_root
async def test_limits_usage_and_memory_shortage_are_told(tmp_path: Path, busybox_image: str) -> None:
    async with real_runtime(tmp_path) as runtime:
        spec = _limited_pod(await runtime.images.resolve(busybox_image))
        async with runtime.spawn(spec) as pod, asyncio.timeout(HANG_SECONDS):
            container = pod.container("a")
            first = await container.stats()
            assert (first.memory.limit_bytes, first.processes.limit) == (64 * 2**20, 50)
            assert [one.container_id for one in await pod.stats()] == ["a", "b"]
            await (await container.exec(*_HUNGRY)).wait()
            await container.exec(*_BUSY)
            usage = []
            async for sample in container.stats_stream(0.2):
                assert (sample.memory_events.oom_kill or 0) > 0
                usage.append(sample.cpu.usage_usec or 0)
                # A process that waits for its turn on a busy machine uses nothing meanwhile.
                if len(usage) >= 4 and usage[-1] > usage[0]:
                    break
            assert usage == sorted(usage)
            await pod.stop(0)


@pytest.mark.needs_root
@pytest.mark.needs_agent_v1
async def test_processes_usage_of_the_store_and_memory_shortage_are_told_as_they_are(
    tmp_path: Path, busybox_image: str
) -> None:
    told: list[Event] = []
    tree = tmp_path / "tree"
    for number in range(20):
        (tree / str(number)).mkdir(parents=True)
    async with real_runtime(tmp_path) as runtime:
        spec = _limited_pod(await runtime.images.resolve(busybox_image))
        async with runtime.spawn(spec) as pod, asyncio.timeout(HANG_SECONDS), pod.events() as events:
            container = pod.container("a")
            hungry = await container.exec(*_HUNGRY)
            await hungry.wait()
            busy = await container.exec(*_BUSY)
            async for _ in container.stats_stream(0.1):
                if (listed := await container.processes())[-1].cpu_seconds:
                    break
            assert [one.pid for one in listed] == [container.pid, busy.pid]
            assert (listed[0].container_pid, listed[0].command) == (1, ("sleep", "1000"))
            await container.copy_in(tree, "/tmp/tree")
            breakdown = await pod.store_breakdown()
            assert breakdown.templates.bytes > 100_000
            assert set(breakdown.containers) == {"a", "b"}
            assert breakdown.containers["a"].inodes > breakdown.containers["b"].inodes
            await pod.stop(0)
            told = [event async for event in events]
    kills = [event for event in told if isinstance(event, OutOfMemory)]
    assert kills
    assert {event.container_id for event in kills} == {"a"}
    exits = {event.process_id: event.status for event in told if isinstance(event, ProcessExited)}
    assert exits[hungry.id].reason in (ExitReason.EXITED, ExitReason.OOM_KILLED)
    assert exits[busy.id].reason is ExitReason.SIGNALED
    ends = [event for event in told if isinstance(event, ProcessExited) and event.process_id == hungry.id]
    assert told.index(kills[0]) < told.index(ends[0])
    assert [event.phase for event in told if isinstance(event, PodPhaseChanged)] == [
        PodPhase.STOPPING,
        PodPhase.STOPPED,
    ]
    assert any(isinstance(event, ContainerPhaseChanged) for event in told)
