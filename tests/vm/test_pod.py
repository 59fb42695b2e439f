"""A pod in a machine of its own: QEMU, our vsock device, an ext4 store on a disk, and an image that umoci made."""

from __future__ import annotations

from pathlib import Path

import pytest

import firkin
from tests.integration.pod.pods import shell
from tests.machine_state import MachineState, settled_state

from .machines import machine_runtime, small_machine

pytestmark = pytest.mark.real_time


async def test_containers_share_volumes_and_network_on_a_kernel_of_their_own_and_leave_nothing(
    tmp_path: Path, busybox_image: str
) -> None:
    before = await settled_state()
    async with machine_runtime(tmp_path) as runtime:
        bundle = await runtime.images.resolve(busybox_image)
        server = shell("server", bundle, "uname -r > /shared/file; echo over-tcp | nc -l -p 7000")
        client = shell(
            "client",
            bundle,
            "until [ -s /shared/file ]; do sleep 0.05; done; cat /shared/file;"
            "until nc 127.0.0.1 7000 </dev/null; do sleep 0.05; done",
        )
        spec = (
            firkin.PodBuilder("pod-1", small_machine(tmp_path / "boot.log"))
            .empty_dir(firkin.EmptyDirVolume.memory("shared", firkin.Size.mib(1)))
            .container(server.empty_dir_mount("shared", "/shared"))
            .container(client.empty_dir_mount("shared", "/shared", read_only=True))
            .build()
        )
        async with runtime.spawn(spec) as pod:
            output = (await pod.wait_container("client")).stdout
            assert (await pod.wait_container("server")).status.success
            report = await pod.stop()
        assert report.clean, report
    kernel, answer = output.split()
    assert (kernel.endswith(b"-cloud-amd64"), answer) == (True, b"over-tcp")
    assert "Power down" in (tmp_path / "boot.log").read_text()
    assert MachineState.now().beyond(before) == {}
    assert not list((tmp_path / "run").iterdir())
    assert not list((tmp_path / "state").glob("pod-stores/*"))
