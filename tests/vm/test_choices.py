"""What a machine was given of what its host has, as it tells it itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

import firkin
from firkin.adapters.vmm_qemu import vmm
from firkin.adapters.vmm_qemu.acceleration import KVM, TCG, kvm_obstacle
from firkin.adapters.vmm_qemu.machine import Machine
from firkin.adapters.vmm_qemu.sandbox import QemuSandbox
from firkin.adapters.vmm_qemu.vhost_device import vhost_obstacle
from firkin.adapters.vmm_qemu.vsock_choice import VHOST, VHOST_USER
from tests.integration.pod.pods import shell

from .machines import empty_store, machine_runtime, qemu_vmm, request_for, small_machine

pytestmark = pytest.mark.real_time


async def test_a_machine_tells_its_acceleration_and_its_vsock_device_and_why_not_the_kernels(tmp_path: Path) -> None:
    async with qemu_vmm(tmp_path).booted(request_for(empty_store(tmp_path))) as sandbox:
        assert isinstance(sandbox, QemuSandbox)
        acceleration, vsock = sandbox.acceleration, sandbox.vsock
    assert acceleration.name == (TCG if acceleration.reason else KVM)
    assert acceleration.reason.startswith(kvm_obstacle())
    assert vsock.name == (VHOST_USER if vsock.reason else VHOST)
    assert vsock.reason.startswith(vhost_obstacle())


async def test_disks_are_found_by_their_serials_in_whatever_order_they_come(
    tmp_path: Path, busybox_image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def in_another_order(**settings: Any) -> Machine:
        machine = Machine(**settings)
        return msgspec.structs.replace(machine, disks=machine.disks[::-1])

    monkeypatch.setattr(vmm, "Machine", in_another_order)
    async with machine_runtime(tmp_path) as runtime:
        bundle = await runtime.images.resolve(busybox_image)
        tell = shell(
            "tells", bundle, "cat /sys/block/vda/serial; echo; cat /sys/block/vdb/serial; echo; echo > /written"
        )
        async with runtime.spawn(firkin.PodBuilder("pod-1", small_machine()).container(tell).build()) as pod:
            output = await pod.wait_container("tells")
            assert output.stdout.split() == [b"firkin-store", b"firkin-root"], output
            assert output.status.success
            assert (await pod.stop()).clean
