"""A pod store that is a disk of a machine."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest

import firkin
from firkin.adapters.store_ext4 import Ext4PodStore
from firkin.adapters.vmm_qemu.sandbox import QemuSandbox
from firkin.domain.digest import Digest
from firkin.domain.errors import SandboxDied, StoreDamaged, StoreFull, StoreInUse, StoreTooSmall
from firkin.domain.ids import PodId
from firkin.domain.image import ImageBundle, LayerBlob, chained_layers
from firkin.domain.store_spec import PodStoreSpec
from firkin.ports.agent_templates import TemplateProgress
from firkin.vminitd.filesystem.removal import TRASH_PREFIX
from firkin.vminitd.filesystem.store import STAGING_PREFIX
from tests.integration.layers.archives import archive, directory, file
from tests.integration.pod.pods import shell
from tests.machine_state import MachineState, settled_state

from .kept_image import is_left_clean, pods_in, template_names
from .machines import BOOT_SECONDS, SEARCH_PATH, machine_runtime, small_machine

pytestmark = pytest.mark.real_time

_FILES, _FILE_BYTES = 32, 2**19
_HANG_UP_SECONDS = BOOT_SECONDS
SOON = BOOT_SECONDS


def _builder(pod_id: str, store: PodStoreSpec) -> firkin.PodBuilder:
    return firkin.PodBuilder(pod_id, small_machine(), store)


async def test_a_full_store_is_told_and_can_be_used_again_and_trimming_gives_its_blocks_back(
    tmp_path: Path, busybox_image: str, debian_image: str
) -> None:
    image = tmp_path / "kept.ext4"
    store = PodStoreSpec.at(image, firkin.Size.mib(96))
    before = await settled_state()
    async with asyncio.timeout(2 * BOOT_SECONDS), machine_runtime(tmp_path) as runtime:
        bundle = await runtime.images.resolve(busybox_image)
        writes = shell("writes", bundle, "exec 3> /open; while :; do echo x >&3; sleep 0.1; done")
        pod = await runtime.spawn(_builder("pod-1", store).container(writes).build())
        fill = "dd if=/dev/zero of=/file bs=1M count=200; echo $?; sync"
        await pod.add_container(shell("fills", bundle, fill))
        output = await pod.wait_container("fills")
        assert (output.stdout, b"No space left on device" in output.stderr) == (b"1\n", True)
        async with asyncio.timeout(SOON):
            with pytest.raises(StoreFull):
                await pod.add_container(shell("late", await runtime.images.resolve(debian_image), "true"))
        # Only hung up on, with a container that writes, the machine unmounts its store all the same.
        assert not is_left_clean(image)
        assert (await pod.vm.stop(_HANG_UP_SECONDS)).exit_status == 0
        assert is_left_clean(image)
        await pod.stop()
        full = _allocated_bytes(image)
        async with runtime.spawn(_builder("pod-1", store).build()) as pod:
            await pod.add_container(shell("again", bundle, "head -c 32000000 /dev/zero > /file && echo fits"))
            assert (await pod.wait_container("again")).stdout == b"fits\n"
            await pod.remove_container("again")
            report = await pod.shutdown_trimming_store()
            assert report.clean, report
    assert full > 64 * 2**20
    assert (report.trimmed_bytes or 0) > 64 * 2**20
    assert _allocated_bytes(image) < full - 64 * 2**20
    assert is_left_clean(image)
    assert MachineState.now().beyond(before) == {}
    assert not list((tmp_path / "run").iterdir())


async def test_a_machine_that_is_killed_leaves_whole_templates_and_no_half_ones(
    tmp_path: Path, busybox_image: str
) -> None:
    image = tmp_path / "kept.ext4"
    store = PodStoreSpec.at(image, firkin.Size.gib(2))
    data = os.urandom(_FILES * _FILE_BYTES)
    before = await settled_state()
    async with asyncio.timeout(2 * BOOT_SECONDS), machine_runtime(tmp_path) as runtime:
        small = await runtime.images.resolve(busybox_image)
        large = _with_layer(small, tmp_path, data)
        above = large.layers[-1].size_bytes

        def kill(progress: TemplateProgress) -> None:
            if progress.layer_count > 1 and 0 < progress.done_bytes < above:
                # There may be more of it on its way when the machine is gone already.
                with contextlib.suppress(ProcessLookupError):
                    os.kill(_qemu_pid(pod), signal.SIGKILL)

        pod = await runtime.spawn(_builder("pod-1", store).build(), progress=kill)
        await pod.add_container(shell("a", small, "echo written > /kept; sync"))
        await pod.wait_container("a")
        with pytest.raises(StoreInUse):
            await runtime.spawn(_builder("pod-2", store).build())
        with pytest.raises(SandboxDied):
            await pod.add_container(shell("b", large, "true"))
        await pod.stop()

        seen: list[TemplateProgress] = []
        async with runtime.spawn(_builder("pod-2", store).build(), progress=seen.append) as pod:
            await pod.add_container(shell("c", small, "echo again"))
            assert (await pod.wait_container("c")).stdout == b"again\n"
            assert seen == []
            await pod.add_container(shell("d", large, "cat /data/* | sha256sum"))
            assert (await pod.wait_container("d")).stdout.decode().split()[0] == sha256(data).hexdigest()
            # The half one was read from its beginning, and the whole one below it was not read again.
            assert seen[-1].done_bytes == seen[-1].total_bytes > above
            assert all(one.done_bytes <= above for one in seen[:-1])
            assert (await pod.stop()).clean
    assert is_left_clean(image)
    assert pods_in(image) == set()
    assert not {name for name in template_names(image) if name.startswith((STAGING_PREFIX, TRASH_PREFIX))}
    assert len(template_names(image)) >= 2
    assert MachineState.now().beyond(before) == {}
    assert not list((tmp_path / "run").iterdir())


def _with_layer(bundle: ImageBundle, where: Path, data: bytes) -> ImageBundle:
    """The image with one more layer, in which the data lie in pieces."""
    pieces = (data[start : start + _FILE_BYTES] for start in range(0, len(data), _FILE_BYTES))
    tar = archive(directory("data"), *(file(f"data/{number:03}", piece) for number, piece in enumerate(pieces)))
    blob = where / "layer.tar"
    blob.write_bytes(tar)
    below = [LayerBlob(layer.path, layer.digest, layer.size_bytes, layer.media_type) for layer in bundle.layers]
    above = LayerBlob(blob, Digest.of(tar), len(tar), "application/vnd.oci.image.layer.v1.tar")
    diff_ids = (*(layer.diff_id for layer in bundle.layers), above.digest)
    return msgspec.structs.replace(bundle, reference="test:large", layers=chained_layers((*below, above), diff_ids))


async def test_a_store_that_is_damaged_or_too_small_is_told_before_or_after_the_boot(tmp_path: Path) -> None:
    image = tmp_path / "kept.ext4"
    async with machine_runtime(tmp_path) as runtime:
        with pytest.raises(StoreTooSmall):
            await runtime.spawn(_builder("pod-1", PodStoreSpec.at(image, firkin.Size.mib(8))).build())
        store = PodStoreSpec.at(image, firkin.Size.mib(64))
        async with Ext4PodStore(tmp_path / "state", SEARCH_PATH).opened(store, PodId("pod-1")):
            pass
        whole = image.read_bytes()
        # The descriptors of its groups are behind the first block: the superblock is sound, and nothing can mount it.
        image.write_bytes(whole[:4096] + bytes([0xA5]) * 4096 + whole[8192:])
        for _ in range(2):
            with pytest.raises(StoreDamaged):
                await runtime.spawn(_builder("pod-1", store).build())
        image.write_bytes(b"no filesystem" + bytes(len(whole) - 13))
        with pytest.raises(StoreDamaged):
            await runtime.spawn(_builder("pod-1", store).build())
        image.write_bytes(whole)
        async with runtime.spawn(_builder("pod-1", store).build()) as pod:
            assert await pod.store_used_bytes() > 0
            assert (await pod.stop()).clean
    assert not list((tmp_path / "run").iterdir())


def _qemu_pid(pod: firkin.Pod) -> int:
    assert isinstance(pod.vm, QemuSandbox)
    return pod.vm.qemu_pid


def _allocated_bytes(path: Path) -> int:
    return os.stat(path).st_blocks * 512
