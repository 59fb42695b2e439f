"""The command line of a virtual machine (qemu(1))."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import msgspec

from firkin.domain.size import Size
from firkin.ports.guest_image import GuestImage

from .vsock_link import escaped

ROOT_SERIAL = "firkin-root"
STORE_SERIAL = "firkin-store"
# What the initramfs looks for: drivers that not every machine needs.
QUOTAS_PARAMETER, NETWORK_PARAMETER = "firkin.quotas", "firkin.network=user"

# Nothing that nobody asked for: no graphics, no network, no firmware of devices, no configuration of the user's.
_BARE = ("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot")
_NO_NETWORK = ("-nic", "none")
# QEMU opens the connections that the guest wants; IPv4 alone, as its addresses are given by hand. No boot firmware.
_USER_NETWORK = (
    *("-netdev", "user,id=network,ipv6=off"),
    *("-device", "virtio-net-pci,netdev=network,romfile="),
)
# What QEMU may not do once the machine runs, in case a guest breaks out of it.
_CONFINED = ("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny")
_KERNEL_PARAMETERS = (
    "console=ttyS0",
    "quiet",
    # A panic ends the machine at once (with -no-reboot), and so does the end of the agent, its init.
    "panic=-1",
    "reboot=t",
    # The kernel tests its cryptography at every boot: a tenth of it without KVM.
    "cryptomgr.notests",
    # A guest that waits long for its turn takes a timer that works for one that does not, and panics.
    "no_timer_check",
)


class Disk(msgspec.Struct, frozen=True):
    """A raw file as a virtio disk; `serial` (at most 20 bytes) is how the guest finds it."""

    path: Path
    serial: str
    read_only: bool = False


class Machine(msgspec.Struct, frozen=True):
    """Everything that a QEMU is told.

    Attributes:
        accelerator: "kvm" or "tcg".
        vsock_arguments: the vsock device.
        vsock_parameters: what the guest's kernel is told of it.
        monitor_socket: where somebody listens for QEMU's monitor protocol.
        host_name: of the guest.
        has_user_network: whether QEMU opens connections for the guest.
        keeps_quotas: whether the guest needs its driver for the quotas of the store.
    """

    name: str
    image: GuestImage
    accelerator: str
    cpus: int
    memory: Size
    disks: Sequence[Disk]
    vsock_arguments: Sequence[str]
    monitor_socket: Path
    host_name: str
    vsock_parameters: Sequence[str] = ()
    has_user_network: bool = False
    keeps_quotas: bool = False
    command_line_extra: Sequence[str] = ()

    def arguments(self) -> list[str]:
        """What follows the program's name."""
        mebibytes = -(-int(self.memory) // Size.mib(1))
        processor = "host" if self.accelerator == "kvm" else "max"
        own = (*_KERNEL_PARAMETERS, *self.vsock_parameters, *self._drivers(), f"firkin.host_name={self.host_name}")
        parameters = (*own, *self.command_line_extra)
        return [
            *_BARE,
            *_CONFINED,
            *(_USER_NETWORK if self.has_user_network else _NO_NETWORK),
            *("-name", f"firkin-{self.name}"),
            *("-machine", f"q35,accel={self.accelerator},memory-backend=memory,usb=off,smm=off,hpet=off"),
            *("-cpu", processor, "-smp", str(self.cpus), "-m", f"{mebibytes}M"),
            # A shared file, because the vsock device, another thread of firkin's, writes into the guest's buffers.
            *("-object", f"memory-backend-memfd,id=memory,size={mebibytes}M,share=on"),
            *("-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"),
            *("-chardev", f"socket,id=monitor,path={escaped(self.monitor_socket)}", "-mon", "monitor,mode=control"),
            *self.vsock_arguments,
            *(argument for disk in self.disks for argument in _disk_arguments(disk)),
            *("-kernel", str(self.image.kernel), "-initrd", str(self.image.initramfs)),
            *("-append", " ".join(parameters)),
        ]

    def _drivers(self) -> tuple[str, ...]:
        """Parameters that name drivers which not every guest loads."""
        wanted = {QUOTAS_PARAMETER: self.keeps_quotas, NETWORK_PARAMETER: self.has_user_network}
        return tuple(parameter for parameter, is_wanted in wanted.items() if is_wanted)


def _disk_arguments(disk: Disk) -> list[str]:
    # Whoever opens a store holds firkin's own lock on it.
    file = {"driver": "file", "filename": str(disk.path), "discard": "unmap", "locking": "off"}
    block = {"driver": "raw", "node-name": disk.serial, "read-only": disk.read_only, "discard": "unmap", "file": file}
    device = {"driver": "virtio-blk-pci", "drive": disk.serial, "serial": disk.serial}
    return ["-blockdev", json.dumps(block), "-device", json.dumps(device)]
