"""A machine's streams: what QEMU and the guest are told of them, and who carries them on the host."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import msgspec

from firkin._fast import vsock

from .vhost_bridge import VhostBridge, VsockDoor
from .vhost_device import VhostDevice
from .vsock_choice import VHOST, VsockChoice

GUEST_CID = 3
HOST_PORT_PARAMETER = "firkin.host_port"


class VsockLink(msgspec.Struct, frozen=True):
    """The device of one machine.

    Attributes:
        choice: which it is, and why.
        arguments: for QEMU.
        inherited: open files that QEMU needs.
        parameters: for the guest's kernel.
        listen: makes `guest-<port>.sock` for a port of the guest.
        device: firkin's own, which may end before its machine does; None for the kernel's, which cannot.
    """

    choice: VsockChoice
    arguments: Sequence[str]
    inherited: Sequence[int]
    parameters: Sequence[str]
    listen: Callable[[int], None]
    device: vsock.VsockDevice | None = None


OpenVsock = Callable[[VsockChoice, Path], AbstractAsyncContextManager[VsockLink]]


@asynccontextmanager
async def opened_vsock(choice: VsockChoice, directory: Path) -> AsyncIterator[VsockLink]:
    """Open the device, with its sockets in `directory`; leaving ends it, and every stream.

    Raises:
        BootFailed: the kernel's device cannot be had.
    """
    if choice.name == VHOST:
        async with _opened_vhost(choice, directory) as link:
            yield link
        return
    socket_path = directory / "vsock.sock"
    with vsock.VsockDevice(socket_path, GUEST_CID, directory) as device:
        arguments = (
            *("-chardev", f"socket,id=vsock,path={escaped(socket_path)}"),
            *("-device", "vhost-user-vsock-pci,chardev=vsock"),
        )
        yield VsockLink(choice, arguments, (), (), device.listen, device)


@asynccontextmanager
async def _opened_vhost(choice: VsockChoice, directory: Path) -> AsyncIterator[VsockLink]:
    device = VhostDevice()
    try:
        door = VsockDoor(device.guest_cid)
        bridge = VhostBridge(directory, door)
        try:
            number = device.fileno()
            yield VsockLink(
                choice,
                ("-device", f"vhost-vsock-pci,guest-cid={device.guest_cid},vhostfd={number}"),
                (number,),
                (f"{HOST_PORT_PARAMETER}={door.host_port}",),
                bridge.listen,
            )
        finally:
            await bridge.aclose()
    finally:
        device.close()


def escaped(path: Path) -> str:
    """As a value in a list of QEMU's options, where a comma is doubled."""
    return str(path).replace(",", ",,")
