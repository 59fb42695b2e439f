"""Parts of volumes (subPath) in real containers."""

from __future__ import annotations

from pathlib import Path

import pytest

import firkin
from firkin.errors import PathRefused
from tests.machine_state import MachineState, settled_state

from .pods import limited_where_possible, real_runtime, shell

pytestmark = pytest.mark.real_time


@pytest.mark.needs_ids
async def test_containers_see_their_parts_of_a_volume_and_nothing_else(tmp_path: Path, busybox_image: str) -> None:
    before = await settled_state()
    async with real_runtime(tmp_path) as runtime:
        bundle = await runtime.images.resolve(busybox_image)
        write = "id -u; echo from $0 > /data/file; cat /data/../etc/hostname >/dev/null; ls -A /data"
        spec = (
            firkin.PodBuilder("pod-1")
            .empty_dir(limited_where_possible("shared", 2**20))
            .container(shell("one", bundle, write).empty_dir_mount("shared", "/data", sub_path="a/one").user(1000))
            .container(shell("two", bundle, write).empty_dir_mount("shared", "/data", sub_path="two"))
            .build()
        )
        async with runtime.spawn(spec) as pod:
            assert (await pod.wait_container("one")).stdout == b"1000\nfile\n"
            assert (await pod.wait_container("two")).stdout == b"0\nfile\n"
            whole = shell("whole", bundle, "cd /v; find . -type f | sort; ls -A one two; echo x > /read/x")
            whole = whole.empty_dir_mount("shared", "/v").empty_dir_mount("shared", "/read", True, "two")
            await pod.add_container(whole)
            output = await pod.wait_container("whole")
            assert output.stdout.startswith(b"./a/one/file\n./two/file\n")
            assert b"Read-only file system" in output.stderr
            await pod.restart_container("two")
            assert (await pod.wait_container("two")).stdout == b"0\nfile\n"
            assert await pod.remove_container("two") == firkin.ExitStatus(0)
            assert (await pod.stop()).clean
    assert MachineState.now().beyond(before) == {}


async def test_a_link_that_a_container_planted_leads_nobody_out_of_the_volume(
    tmp_path: Path, busybox_image: str
) -> None:
    async with real_runtime(tmp_path) as runtime:
        bundle = await runtime.images.resolve(busybox_image)
        plant = shell("plant", bundle, "ln -s / /v/root; ln -s ../../../.. /v/up; ln -s /proc/1/root /v/magic")
        spec = firkin.PodBuilder("pod-1").empty_dir(firkin.EmptyDirVolume.memory("v"))
        async with runtime.spawn(spec.container(plant.empty_dir_mount("v", "/v")).build()) as pod:
            assert (await pod.wait_container("plant")).status.success
            for path in ("root", "up", "magic", "root/etc", "up/templates", "magic/etc"):
                victim = shell("victim", bundle, "ls /v").empty_dir_mount("v", "/v", sub_path=path)
                with pytest.raises(PathRefused) as refused:
                    await pod.add_container(victim)
                assert refused.value.outcome is firkin.errors.Outcome.DID_NOT
            fine = shell("victim", bundle, "ls -A /v").empty_dir_mount("v", "/v", sub_path="new")
            await pod.add_container(fine)
            assert (await pod.wait_container("victim")).stdout == b""
            assert (await pod.stop()).clean
