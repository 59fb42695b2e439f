"""Size limits of emptyDirs, as containers meet them."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

import firkin
from firkin.errors import SandboxDied, StoreFull, VolumeFull
from tests.machine_state import MachineState, settled_state

from .pods import HANG_SECONDS, dialler, kill_agent, real_runtime, shell

pytestmark = pytest.mark.real_time

MIB = 2**20
# Fills the volume and tells how many bytes it took, and what the last writer was told.
FILL = "dd if=/dev/zero of=/limited/file bs=4k 2>&1 | grep -v records; stat -c %s /limited/file"


def volume(medium: str, size_limit: int = 4 * MIB) -> firkin.EmptyDirVolume:
    return firkin.EmptyDirVolume("limited", medium, size_limit)


@pytest.mark.parametrize("store", ["directory", pytest.param("ext4", marks=pytest.mark.needs_root)])
@pytest.mark.parametrize("medium", [pytest.param("disk", marks=pytest.mark.needs_root), "memory"])
async def test_a_container_that_fills_a_volume_sees_enospc_at_its_limit_and_neighbours_go_on(
    tmp_path: Path, busybox_image: str, medium: str, store: str
) -> None:
    before = await settled_state()
    async with real_runtime(tmp_path, store) as runtime:
        assert runtime.capabilities()[f"{medium} emptyDir size limit"].promise == "enforced"
        bundle = await runtime.images.resolve(busybox_image)
        filler = shell("filler", bundle, FILL).empty_dir_mount("limited", "/limited").user("1000:1000")
        neighbour = shell("neighbour", bundle, "head -c 8000000 /dev/zero > /other/file && echo fine")
        spec = (
            firkin.PodBuilder("pod-1")
            .empty_dir(volume(medium))
            .empty_dir(firkin.EmptyDirVolume.disk("other"))
            .container(filler)
            .container(neighbour.empty_dir_mount("other", "/other"))
            .build()
        )
        async with runtime.spawn(spec) as pod, asyncio.timeout(HANG_SECONDS):
            told, size = (await pod.wait_container("filler")).stdout.decode().splitlines()
            assert "No space left on device" in told
            assert 4 * MIB <= int(size) < 4 * MIB * 1.03
            assert (await pod.wait_container("neighbour")).stdout == b"fine\n"
            with pytest.raises(VolumeFull) as full:
                await pod.write_empty_dir_file("limited", "more", bytes(MIB))
            assert (full.value.volume, full.value.size_limit) == ("limited", 4 * MIB)
            assert isinstance(full.value, StoreFull)
            assert (await pod.empty_dir_usage("limited")).available_bytes < MIB
            assert (await pod.empty_dir_usage("other")).available_bytes > 8 * MIB
            await pod.add_container(shell("cleaner", bundle, "rm /limited/file").empty_dir_mount("limited", "/limited"))
            assert (await pod.wait_container("cleaner")).status.success
            await pod.write_empty_dir_file("limited", "in/file", b"from the host")
            await pod.restart_container("filler")
            assert b"No space left on device" in (await pod.wait_container("filler")).stdout
            await pod.add_container(
                shell("reader", bundle, "cat /v/in/file; touch /v/x").empty_dir_mount("limited", "/v", read_only=True)
            )
            read = await pod.wait_container("reader")
            assert (read.stdout, read.status.success) == (b"from the host", False)
            assert (await pod.stop()).clean
    assert MachineState.now().beyond(before) == {}
    assert not list((tmp_path / "state").glob("**/pods/pod-1"))


@pytest.mark.needs_root
async def test_a_pod_of_ten_limited_volumes_starts_and_leaves_nothing(tmp_path: Path, busybox_image: str) -> None:
    before = await settled_state()
    async with real_runtime(tmp_path) as runtime:
        bundle = await runtime.images.resolve(busybox_image)
        container = shell("all", bundle, "for n in 0 1 2 3 4 5 6 7 8 9; do echo $n > /v$n/file; done; cat /v*/file")
        builder = firkin.PodBuilder("pod-1")
        for number in range(10):
            builder = builder.empty_dir(firkin.EmptyDirVolume.disk(f"v{number}", (1 + number) * MIB))
            container = container.empty_dir_mount(f"v{number}", f"/v{number}")
        async with runtime.spawn(builder.container(container).build()) as pod:
            assert (await pod.wait_container("all")).stdout.split() == [b"%d" % number for number in range(10)]
            assert (await pod.stop()).clean
    assert MachineState.now().beyond(before) == {}


@pytest.mark.parametrize("store", ["directory", "ext4"])
@pytest.mark.needs_root
async def test_when_the_agent_dies_its_volumes_go_with_it(tmp_path: Path, busybox_image: str, store: str) -> None:
    before = await settled_state()
    async with real_runtime(tmp_path, store) as runtime:
        bundle = await runtime.images.resolve(busybox_image)
        main = shell("main", bundle, "echo x > /limited/x; sync; echo ready; sleep 1000")
        spec = builder().empty_dir(volume("disk"))
        pod = await runtime.spawn(spec.container(main.empty_dir_mount("limited", "/limited")).build())
        stdout = pod.container("main").stdout
        assert stdout is not None
        assert await stdout.read_line() == b"ready\n"
        await kill_its_agent(pod, bundle)
        with pytest.raises(SandboxDied):
            await pod.container("main").wait()
        await pod.stop()
    assert MachineState.now().beyond(before) == {}
    assert not list((tmp_path / "state").glob("**/pods/pod-1"))
    assert not list((tmp_path / "state").glob("pod-stores/*"))


def builder() -> firkin.PodBuilder:
    """A pod of the sandbox under test."""
    return firkin.PodBuilder("pod-1")


async def kill_its_agent(pod: firkin.Pod, bundle: firkin.ImageBundle) -> None:
    """Let the agent of a pod with the volume `limited` end at once, and not in order."""
    kill_agent(pod)


@pytest.mark.needs_root
async def test_a_limit_that_cannot_be_enforced_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    before = await settled_state()
    tools = _tools_without_mke2fs(tmp_path / "tools")
    config = firkin.RuntimeConfig(
        store="directory",
        state_dir=tmp_path / "state",
        runtime_dir=tmp_path / "run",
        agents=dialler(),
        search_path=str(tools),
    )
    async with firkin.open_runtime(config) as runtime:
        promise = runtime.capabilities()["disk emptyDir size limit"]
        assert (promise.promise, "e2fsprogs" in promise.reason) == ("not here", True)
        with pytest.raises(firkin.errors.MissingTool, match="limiting the size of an emptyDir on disk"):
            await runtime.spawn(firkin.PodBuilder("pod-1").empty_dir(volume("disk")).build())
        async with runtime.spawn(firkin.PodBuilder("pod-1").empty_dir(volume("memory")).build()):
            pass
    assert MachineState.now().beyond(before) == {}


def _tools_without_mke2fs(directory: Path) -> Path:
    """A search path with the other tools that a sandbox needs."""
    directory.mkdir()
    for tool in ("crun", "unshare", "mount", "sh", "env"):
        found = shutil.which(tool)
        assert found is not None
        (directory / tool).symlink_to(found)
    return directory
