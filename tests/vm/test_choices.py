"""What a machine was given of what its host has, as it tells it itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from firkin.adapters.vmm_qemu.acceleration import KVM, TCG, kvm_obstacle
from firkin.adapters.vmm_qemu.sandbox import QemuSandbox
from firkin.adapters.vmm_qemu.vhost_device import vhost_obstacle
from firkin.adapters.vmm_qemu.vsock_choice import VHOST, VHOST_USER

from .machines import empty_store, qemu_vmm, request_for

pytestmark = pytest.mark.real_time


async def test_a_machine_tells_its_acceleration_and_its_vsock_device_and_why_not_the_kernels(tmp_path: Path) -> None:
    async with qemu_vmm(tmp_path).booted(request_for(empty_store(tmp_path))) as sandbox:
        assert isinstance(sandbox, QemuSandbox)
        acceleration, vsock = sandbox.acceleration, sandbox.vsock
    assert acceleration.name == (TCG if acceleration.reason else KVM)
    assert acceleration.reason.startswith(kvm_obstacle())
    assert vsock.name == (VHOST_USER if vsock.reason else VHOST)
    assert vsock.reason.startswith(vhost_obstacle())
