"""What firkin does with the host kernel's vsock device, done inside a machine, whose kernel has that device."""

from __future__ import annotations

from pathlib import Path

import pytest

from .guest_program import said_in_guest

pytestmark = pytest.mark.real_time

PROGRAMS = Path(__file__).with_name("programs")
VMM = "firkin/adapters/vmm_qemu"


async def test_addresses_of_machines_are_taken_from_the_kernel_and_given_back(tmp_path: Path) -> None:
    packages = [f"{VMM}/vhost_device.py"]
    said = await said_in_guest(tmp_path, PROGRAMS / "vhost_device.py", packages, ["vhost_vsock"])
    assert "addresses are taken and given back" in said


async def test_streams_go_over_the_vsock_sockets_of_a_kernel(tmp_path: Path) -> None:
    packages = [f"{VMM}/vhost_bridge.py", "firkin/application/task_scope.py", "firkin/host_side/socket_relay.py"]
    said = await said_in_guest(tmp_path, PROGRAMS / "vhost_bridge.py", packages, ["vsock_loopback"])
    assert "streams are relayed" in said
