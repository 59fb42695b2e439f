"""Logs and terminals of real pods."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

import firkin

from .pods import HANG_SECONDS, real_runtime, shell

pytestmark = pytest.mark.real_time


async def test_a_flood_is_logged_within_its_bound_while_readers_come_and_go(tmp_path: Path, busybox_image: str) -> None:
    async with real_runtime(tmp_path) as runtime, asyncio.timeout(HANG_SECONDS):
        bundle = await runtime.images.resolve(busybox_image)
        flood = shell("flood", bundle, "read go; head -c 50000000 /dev/zero; echo last; echo err >&2")
        spec = firkin.PodBuilder("pod-1").container(flood.stdin(firkin.Stdio.PIPED).log(max_bytes=2**20)).build()
        async with runtime.spawn(spec) as pod:
            container = pod.container("flood")
            idle, leaving = container.attach(), container.attach()
            async with asyncio.TaskGroup() as group:
                reading = group.create_task(_sizes(container.attach()))
                assert container.stdin is not None
                await container.stdin.write(b"go\n")
                assert (await anext(leaving)).data
            assert (await container.wait()).success
            assert sum(reading.result()) == sum(await _sizes(idle)) == 50_000_000 + len(b"last\nerr\n")
            kept = [entry async for entry in container.logs()]
            assert sum(len(entry.data) for entry in kept) <= 2**20
            assert [entry.data async for entry in container.logs(tail=2)][-1] in (b"err\n", b"last\n")


async def _sizes(entries: AsyncIterator[firkin.LogEntry]) -> list[int]:
    return [len(entry.data) + entry.lost_bytes async for entry in entries]


async def test_a_shell_in_an_exec_is_driven_over_its_terminal(tmp_path: Path, busybox_image: str) -> None:
    async with real_runtime(tmp_path) as runtime, asyncio.timeout(HANG_SECONDS):
        bundle = await runtime.images.resolve(busybox_image)
        main = shell("main", bundle, "sleep 1000").tty().stderr(firkin.Stdio.NULL).stop_grace(0)
        async with runtime.spawn(firkin.PodBuilder("pod-1").container(main).build()) as pod:
            container = pod.container("main")
            async with await container.exec("sh", tty=True, size=(70, 20), stdin=firkin.Stdio.PIPED) as process:
                assert process.stdin is not None
                assert process.stdout is not None
                size_known = 'until size=$(stty size 2>/dev/null) && [ "$size" ]; do :; done; echo $size'
                await process.stdin.write(f"stty -echo; PS1=; {size_known}; tty\n".encode())
                seen = bytearray()
                while b"/dev/pts/1\r\n" not in seen:
                    seen += await process.stdout.read()
                assert b"20 70\r\n/dev/pts/1\r\n" in seen
                await process.resize(71, 21)
                await process.stdin.write(b"stty size; exit 6\n")
                assert b"21 71\r\n" in (await process.wait_with_output()).stdout
                assert (await process.wait()).code == 6


async def test_a_sidecar_that_writes_much_before_it_is_up_holds_no_pod_up(tmp_path: Path, busybox_image: str) -> None:
    async with real_runtime(tmp_path) as runtime, asyncio.timeout(HANG_SECONDS):
        bundle = await runtime.images.resolve(busybox_image)
        probe = firkin.Probe(firkin.ExecAction(["test", "-e", "/tmp/up"]), period_seconds=0.1, failure_threshold=1000)
        script = "trap 'exit 0' TERM; head -c 3000000 /dev/zero; touch /tmp/up; while :; do sleep 0.1; done"
        sidecar = shell("sidecar", bundle, script).sidecar().startup_probe(probe)
        spec = firkin.PodBuilder("pod-1").init_container(sidecar).container(shell("main", bundle, "echo fine"))
        async with runtime.spawn(spec.build()) as pod:
            assert (await pod.wait_container("main")).stdout == b"fine\n"
            await pod.container("sidecar").stop()
            stdout = pod.container("sidecar").stdout
            assert stdout is not None
            assert await stdout.read_up_to(2**24) == (bytes(3_000_000), False)


async def test_logs_are_read_from_a_time_on_by_their_last_lines_and_as_they_come(
    tmp_path: Path, busybox_image: str
) -> None:
    async with real_runtime(tmp_path) as runtime, asyncio.timeout(HANG_SECONDS):
        bundle = await runtime.images.resolve(busybox_image)
        script = "echo one; echo two; read go; echo three; read go; echo four"
        spec = shell("a", bundle, script).stdin(firkin.Stdio.PIPED).log(max_bytes=2**20)
        async with runtime.spawn(firkin.PodBuilder("pod-1").container(spec).build()) as pod:
            container = pod.container("a")
            assert container.stdin is not None
            followed = container.logs(tail=1, follow=True)
            first = await anext(followed)
            while not first.data.endswith(b"two\n"):
                first = await anext(followed)
            await container.stdin.write(b"go\n")
            third = await anext(followed)
            assert third.data == b"three\n"
            # A datetime is rounded to microseconds.
            since = datetime.fromtimestamp(third.unix_seconds - 1e-6, UTC)
            assert [entry.data async for entry in container.logs(since=since)] == [b"three\n"]
            assert b"".join([entry.data async for entry in container.logs(tail=2)]) == b"two\nthree\n"
            await container.stdin.write(b"go\n")
            # It ends by itself when nothing can follow.
            assert [entry.data async for entry in followed] == [b"four\n"]
            assert (await container.wait()).success
            late = [entry async for entry in container.logs(since=since)]
            assert [entry.data for entry in late] == [b"three\n", b"four\n"]


@pytest.mark.parametrize("grace_seconds", [0, 5])
async def test_output_that_nobody_reads_holds_no_stop_up_and_is_there_for_who_reads_later(
    tmp_path: Path, busybox_image: str, grace_seconds: float
) -> None:
    async with real_runtime(tmp_path) as runtime, asyncio.timeout(HANG_SECONDS):
        bundle = await runtime.images.resolve(busybox_image)
        flood = shell("a", bundle, "trap 'exit 3' TERM; yes 1234567 & wait")
        async with runtime.spawn(firkin.PodBuilder("pod-1").container(flood).build()) as pod:
            container = pod.container("a")
            stdout = container.stdout
            assert stdout is not None
            await _until_blocked(container)
            # The agent gives a reader who takes nothing 10 s.
            async with asyncio.timeout(9):
                status = await container.stop(grace_seconds)
            # With a grace it ends by itself, before that is over.
            assert status == (firkin.ExitStatus(3) if grace_seconds else firkin.ExitStatus.from_signal(signal.SIGKILL))
            text, _ = await stdout.read_up_to(2**26)
    assert len(text) > 65536
    assert set(text.splitlines()[:-1]) == {b"1234567"}


async def _until_blocked(container: firkin.Container) -> None:
    """Until `yes` has written as much as fits between it and its reader, and so sleeps for a second."""
    script = """
        until now=$(grep -E '^State:.S|ctxt_switches' /proc/$(pidof yes)/status) && [ "$now" = "$last" ]; do
            last=$now; sleep 1
        done
    """
    process = await container.exec("sh", "-c", script)
    assert (await process.wait_with_output()).status.success


async def test_inherited_terminals_are_drained_before_the_wait_returns(tmp_path: Path, busybox_image: str) -> None:
    reading, writing = os.pipe()
    saved = os.dup(1)
    async with real_runtime(tmp_path) as runtime, asyncio.timeout(HANG_SECONDS):
        bundle = await runtime.images.resolve(busybox_image)
        spec = shell("a", bundle, "stty -opost; printf all").tty().stdout(firkin.Stdio.INHERIT)
        async with runtime.spawn(firkin.PodBuilder("pod-1").build()) as pod:
            os.dup2(writing, 1)
            try:
                container = await pod.add_container(spec.stderr(firkin.Stdio.NULL))
                assert (await container.wait()).success
                assert os.read(reading, 100) == b"all"
            finally:
                os.dup2(saved, 1)
                for descriptor in (saved, reading, writing):
                    os.close(descriptor)
