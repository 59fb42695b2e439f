"""Layers on their way from the host's file, through the vsock device, into a machine's templates."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

import firkin
from firkin.adapters.vmm_qemu.sandbox import QemuSandbox
from firkin.domain.errors import BlobCorrupt
from firkin.ports.agent_templates import TemplateProgress
from tests.integration.pod.pods import shell

from .machines import machine_runtime, small_machine

pytestmark = pytest.mark.real_time


async def test_a_layer_whose_file_shrinks_on_its_way_is_corrupt_and_the_pod_goes_on(
    tmp_path: Path, debian_image: str, busybox_image: str
) -> None:
    copied = tmp_path / "image"
    shutil.copytree(debian_image.removeprefix("oci:").rpartition(":")[0], copied)
    async with machine_runtime(tmp_path) as runtime:
        bundle = await runtime.images.resolve(f"oci:{copied}")
        layer = max(bundle.layers, key=lambda each: each.size_bytes)

        def cut(progress: TemplateProgress) -> None:
            if bundle.layers[progress.layer_index] == layer:
                os.truncate(layer.path, 1000)

        spec = firkin.PodBuilder("pod-1", small_machine()).build()
        async with runtime.spawn(spec, progress=cut) as pod:
            assert isinstance(pod.vm, QemuSandbox)
            assert pod.vm.takes_files
            with pytest.raises(BlobCorrupt, match=f"1000 bytes instead of {layer.size_bytes}"):
                await pod.add_container(shell("a", bundle, "true"))
            small = await runtime.images.resolve(busybox_image)
            await pod.add_container(shell("b", small, "exit 3"))
            assert (await pod.wait_container("b")).status.code == 3
            assert (await pod.stop()).clean
