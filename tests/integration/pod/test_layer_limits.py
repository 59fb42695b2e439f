"""Size limits of what containers write to their root filesystems, as containers meet them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import firkin
from firkin.adapters.agent_grpc import GrpcAgentConnector
from firkin.domain.errors import InvalidPodSpec, MissingTool, Outcome, UnsupportedFeature
from tests.machine_state import MachineState, settled_state

from .pods import HANG_SECONDS, real_runtime, shell
from .test_volume_limits import _tools_without_mke2fs

pytestmark = pytest.mark.real_time

MIB = 2**20
LIMIT = 4 * MIB
# Fills the layer and tells how many bytes it took, and what the last writer was told.
FILL = "dd if=/dev/zero of=/file bs=4k 2>&1 | grep -v records; stat -c %s /file"
FULL = ("No space left on device", "Disk quota exceeded")


@pytest.mark.needs_root
@pytest.mark.needs_agent_v1
@pytest.mark.parametrize("store", ["directory", "ext4"])
async def test_a_container_writes_as_much_as_it_may_and_its_neighbour_goes_on(
    tmp_path: Path, busybox_image: str, store: str
) -> None:
    before = await settled_state()
    async with real_runtime(tmp_path, store) as runtime:
        assert runtime.capabilities()["writable layer size limit"].promise == "enforced"
        bundle = await runtime.images.resolve(busybox_image)
        filler = shell("filler", bundle, FILL).writable_layer_limit(LIMIT)
        # Whoever could switch quotas off is held as well.
        raised = shell("raised", bundle, FILL).writable_layer_limit(LIMIT).capabilities(add=["SYS_ADMIN"])
        neighbour = shell("neighbour", bundle, "head -c 8000000 /dev/zero > /file && echo fine")
        spec = firkin.PodBuilder("pod-1").empty_dir(firkin.EmptyDirVolume.disk("v"))
        for container in (filler.empty_dir_mount("v", "/v"), raised, neighbour):
            spec = spec.container(container)
        async with runtime.spawn(spec.build()) as pod, asyncio.timeout(HANG_SECONDS):
            for name in ("filler", "raised"):
                await _fills(pod, name)
            assert (await pod.wait_container("neighbour")).stdout == b"fine\n"
            breakdown = await pod.store_breakdown()
            assert LIMIT <= breakdown.containers["filler"].bytes < LIMIT * 1.03
            # Its volumes are not of its layer.
            await pod.write_empty_dir_file("v", "more", bytes(2 * LIMIT))
            await pod.restart_container("filler")
            await _fills(pod, "filler")
            await pod.remove_container("filler")
            await pod.add_container(filler)
            await _fills(pod, "filler")
            assert (await pod.stop()).clean
    assert MachineState.now().beyond(before) == {}
    assert not list((tmp_path / "state").glob("**/pods/pod-1"))


async def _fills(pod: firkin.Pod, name: str) -> None:
    told, size = (await pod.wait_container(name)).stdout.decode().splitlines()
    assert told.endswith(FULL), told
    assert LIMIT <= int(size) < LIMIT * 1.03


@pytest.mark.needs_root
@pytest.mark.needs_agent_v1
async def test_files_of_the_image_that_are_changed_count_and_room_that_is_made_is_there(
    tmp_path: Path, busybox_image: str
) -> None:
    script = (
        "cp /bin/busybox /own; chmod 700 /bin/busybox; rm /own; head -c 1000000 /dev/zero > /file;"
        " rm /file; head -c 1500000 /dev/zero > /again && mv /again /moved && stat -c %s /moved"
    )
    async with real_runtime(tmp_path) as runtime:
        bundle = await runtime.images.resolve(busybox_image)
        container = shell("a", bundle, script).writable_layer_limit(LIMIT)
        async with runtime.spawn(firkin.PodBuilder("pod-1").container(container).build()) as pod:
            output = await pod.wait_container("a")
            assert (output.stdout, output.stderr) == (b"1500000\n", b"")
            assert (await pod.store_breakdown()).containers["a"].bytes > 1_500_000


@pytest.mark.needs_root
@pytest.mark.needs_agent_v1
async def test_a_limit_that_cannot_be_kept_is_refused_and_nothing_is_left(tmp_path: Path, busybox_image: str) -> None:
    before = await settled_state()
    config = firkin.RuntimeConfig(
        store="directory",
        state_dir=tmp_path / "state",
        runtime_dir=tmp_path / "run",
        search_path=str(_tools_without_mke2fs(tmp_path / "tools")),
    )
    async with firkin.open_runtime(config) as runtime:
        assert runtime.capabilities()["writable layer size limit"].promise == "not here"
        bundle = await runtime.images.resolve(busybox_image)
        limited = shell("a", bundle, "true").writable_layer_limit(LIMIT)
        async with runtime.spawn(firkin.PodBuilder("pod-1").build()) as pod:
            with pytest.raises(MissingTool, match="limiting the size of a container's writable layer"):
                await pod.add_container(limited)
            await pod.add_container(shell("a", bundle, "true"))
            assert (await pod.wait_container("a")).status.success
            assert (await pod.stop()).clean
    assert MachineState.now().beyond(before) == {}


async def test_an_agent_of_the_first_service_refuses_such_a_limit(tmp_path: Path, busybox_image: str) -> None:
    config = firkin.RuntimeConfig(
        store="directory",
        state_dir=tmp_path / "state",
        runtime_dir=tmp_path / "run",
        agents=GrpcAgentConnector(prefer_agent_v1=False),
    )
    async with firkin.open_runtime(config) as runtime:
        bundle = await runtime.images.resolve(busybox_image)
        limited = shell("a", bundle, "true").writable_layer_limit(LIMIT)
        with pytest.raises(UnsupportedFeature, match="writable layer") as refused:
            await runtime.spawn(firkin.PodBuilder("pod-1").container(limited).build())
        assert refused.value.outcome is Outcome.DID_NOT


def test_a_limit_is_of_a_layer_that_there_is_and_of_a_size_that_can_be() -> None:
    as_it_is = firkin.PodContainerSpec("a", firkin.RootfsSource.guest_path("/rootfs")).command("true")
    with pytest.raises(InvalidPodSpec) as caught:
        firkin.PodBuilder("pod-1").container(as_it_is.writable_layer_limit(MIB - 1)).build()
    assert [problem.code for problem in caught.value.problems] == ["size-limit", "no-layer"]
