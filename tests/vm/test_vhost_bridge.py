"""A pod whose streams all go through one port of the host, as they do over the host kernel's vsock device.

That device is absent on most machines that test this, so firkin's own carries the bridge's streams here: the guest's
side is the real one, and of the host's only the sockets differ (unix instead of vsock).
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

import firkin
from firkin._fast.vsock import VsockDevice
from firkin.adapters.vmm_qemu import QemuVmm
from firkin.adapters.vmm_qemu.vhost_bridge import VhostBridge
from firkin.adapters.vmm_qemu.vsock_choice import VsockChoice
from firkin.adapters.vmm_qemu.vsock_link import GUEST_CID, VsockLink
from tests.integration.pod.pods import shell

from .machines import SEARCH_PATH, guest_images, small_machine

pytestmark = pytest.mark.real_time

SHARED_PORT = 7000


class DeviceDoor:
    """Keeps GuestDoor with the sockets of firkin's own device, which lie in a directory of their own."""

    def __init__(self, device: VsockDevice, directory: Path) -> None:
        self._device = device
        self._directory = directory
        self._ports: set[int] = set()
        self.host_port = SHARED_PORT
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self.listener.bind(os.fspath(directory / f"host-{SHARED_PORT}.sock"))
        self.listener.listen()

    def is_guest(self, peer: socket.socket) -> bool:
        return True

    async def dialled(self, guest_port: int) -> socket.socket:
        if guest_port not in self._ports:
            self._device.listen(guest_port)
            self._ports.add(guest_port)
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        await asyncio.get_running_loop().sock_connect(peer, os.fspath(self._directory / f"guest-{guest_port}.sock"))
        return peer


@asynccontextmanager
async def bridged(choice: VsockChoice, directory: Path) -> AsyncIterator[VsockLink]:
    inner = directory / "d"
    inner.mkdir()
    with VsockDevice(inner / "v", GUEST_CID, inner) as device:
        bridge = VhostBridge(directory, DeviceDoor(device, inner))
        arguments = ("-chardev", f"socket,id=vsock,path={inner / 'v'}", "-device", "vhost-user-vsock-pci,chardev=vsock")
        try:
            yield VsockLink(choice, arguments, (), (f"firkin.host_port={SHARED_PORT}",), bridge.listen)
        finally:
            await bridge.aclose()


async def test_a_pod_runs_over_a_bridge_by_one_port_of_the_host(tmp_path: Path, busybox_image: str) -> None:
    config = firkin.RuntimeConfig(
        vmm=QemuVmm(tmp_path / "run", guest_images(), SEARCH_PATH, open_vsock=bridged),
        state_dir=tmp_path / "state",
        runtime_dir=tmp_path / "run",
    )
    async with firkin.open_runtime(config) as runtime:
        bundle = await runtime.images.resolve(busybox_image)
        spec = firkin.PodBuilder("pod-1", small_machine()).build()
        async with runtime.spawn(spec) as pod:
            container = await pod.add_container(shell("a", bundle, "cat; exit 7").stdin(firkin.Stdio.PIPED))
            assert container.stdin is not None
            assert container.stdout is not None
            await container.stdin.write(b"there and back\n")
            await container.stdin.aclose()
            assert await container.stdout.read() == b"there and back\n"
            assert (await container.wait()).code == 7
            report = await pod.stop()
    assert report.clean
