"""What containers of a pod share, used by several at once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import firkin
from firkin.application.output_streams import OutputStream

from .pods import HANG_SECONDS, real_runtime, shell

pytestmark = pytest.mark.real_time

_PIECES, _PIECE_BYTES = 10, 4_000_000
_FLOOD_BYTES = _PIECES * _PIECE_BYTES


async def test_both_outputs_may_flood_at_once(tmp_path: Path, busybox_image: str) -> None:
    # Written from a file: who makes up so many lines takes longer than it takes to carry them.
    script = (
        f"for word in out err; do yes $word | head -c {_PIECE_BYTES} > /$word; done;"
        f"flood() {{ for number in $(seq {_PIECES}); do cat /$1; done; }};"
        "flood out & flood err >&2; wait"
    )

    async def received(stream: OutputStream, word: bytes) -> int:
        count = 0
        while data := await stream.read(1 << 20):
            count += len(data)
            assert not data.strip(word + b"\n")
        return count

    async with real_runtime(tmp_path) as runtime, asyncio.timeout(HANG_SECONDS):
        bundle = await runtime.images.resolve(busybox_image)
        spec = firkin.PodBuilder("pod-1").container(shell("a", bundle, script).stderr(firkin.Stdio.PIPED)).build()
        async with runtime.spawn(spec) as pod, asyncio.TaskGroup() as group:
            container = pod.container("a")
            assert container.stdout is not None
            assert container.stderr is not None
            counts = [
                group.create_task(received(container.stdout, b"out")),
                group.create_task(received(container.stderr, b"err")),
            ]
            assert (await container.wait()).success
            assert [await count for count in counts] == [_FLOOD_BYTES, _FLOOD_BYTES]


async def test_a_volume_takes_writers_at_once_and_outlives_them(tmp_path: Path, busybox_image: str) -> None:
    names = ("a", "b", "c")
    async with real_runtime(tmp_path) as runtime, asyncio.timeout(HANG_SECONDS):
        bundle = await runtime.images.resolve(busybox_image)
        builder = firkin.PodBuilder("pod-1").empty_dir(firkin.EmptyDirVolume.disk("data"))
        for name in names:
            script = f"i=0; while [ $i -lt 300 ]; do echo {name} >> /data/lines; i=$((i+1)); done"
            builder = builder.container(shell(name, bundle, script).empty_dir_mount("data", "/data"))
        async with runtime.spawn(builder.build()) as pod:
            for name in names:
                assert (await pod.wait_container(name)).status.success
                await pod.remove_container(name)
            reader = shell("reader", bundle, "sort /data/lines | uniq -c").empty_dir_mount(
                "data", "/data", read_only=True
            )
            await pod.add_container(reader)
            counted = (await pod.wait_container("reader")).stdout.split()
    assert counted == [b"300", b"a", b"300", b"b", b"300", b"c"]


async def test_containers_reach_each_other_over_ipv6(tmp_path: Path, busybox_image: str) -> None:
    async with real_runtime(tmp_path) as runtime, asyncio.timeout(HANG_SECONDS):
        bundle = await runtime.images.resolve(busybox_image)
        server = shell("server", bundle, "exec httpd -f -p '[::1]:8080' -h /etc")
        client = shell("client", bundle, "until wget -q -O- 'http://[::1]:8080/passwd'; do sleep 0.05; done")
        spec = firkin.PodBuilder("pod-1").container(server).container(client).build()
        async with runtime.spawn(spec) as pod:
            assert b"root:" in (await pod.wait_container("client")).stdout
            await pod.stop(0)
