"""Which vsock device a machine gets, and why."""

from __future__ import annotations

from pathlib import Path

import pytest

from firkin.adapters.vmm_qemu.vhost_device import VhostDevice, vhost_obstacle
from firkin.adapters.vmm_qemu.vsock_choice import AUTO, VHOST, VHOST_USER, VsockChoice, chosen_vsock
from firkin.domain.errors import BootFailed
from tests.descriptors import open_descriptors, opened_since

pytestmark = pytest.mark.real_time

# Stand for QEMUs that have the kernel's device, and that have it not: all that is asked is their exit status.
HAS_IT, HAS_IT_NOT = "/bin/true", "/bin/false"


@pytest.fixture
def device(tmp_path: Path) -> Path:
    path = tmp_path / "vhost-vsock"
    path.touch()
    return path


async def test_the_kernels_device_is_taken_where_it_opens_and_qemu_has_it(device: Path) -> None:
    assert await chosen_vsock(AUTO, HAS_IT, device) == VsockChoice(VHOST)
    assert await chosen_vsock(VHOST, HAS_IT, device) == VsockChoice(VHOST)


async def test_without_the_device_firkins_own_is_taken_and_the_reason_told(tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    assert await chosen_vsock(AUTO, HAS_IT, absent) == VsockChoice(VHOST_USER, f"there is no {absent}")
    with pytest.raises(BootFailed, match="there is no"):
        await chosen_vsock(VHOST, HAS_IT, absent)


async def test_a_qemu_without_the_device_is_not_asked_to_use_it(device: Path) -> None:
    choice = await chosen_vsock(AUTO, HAS_IT_NOT, device)
    assert choice == VsockChoice(VHOST_USER, f"{HAS_IT_NOT} has no vhost-vsock-pci")
    with pytest.raises(BootFailed, match="has no vhost-vsock-pci"):
        await chosen_vsock(VHOST, HAS_IT_NOT, device)


async def test_nothing_is_looked_at_when_firkins_own_is_wanted() -> None:
    assert await chosen_vsock(VHOST_USER, "/nonexistent", Path("/nonexistent")) == VsockChoice(VHOST_USER)


def test_a_device_that_does_not_open_is_an_obstacle_with_the_kernels_reason(tmp_path: Path) -> None:
    assert vhost_obstacle(tmp_path) == f"{tmp_path} cannot be opened: Is a directory"


def test_what_gives_no_address_is_no_device_and_is_closed_again(device: Path) -> None:
    before = open_descriptors()
    with pytest.raises(BootFailed, match="take an address") as failed:
        VhostDevice(device)
    assert "Inappropriate ioctl" in failed.value.reason
    assert not opened_since(before)
