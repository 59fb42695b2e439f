"""Which vsock device a machine gets: the host kernel's, or firkin's own."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import msgspec

from firkin.domain.errors import BootFailed

from .vhost_device import DEVICE, vhost_obstacle

AUTO, VHOST, VHOST_USER = "auto", "vhost", "vhost_user"
_QEMU_DEVICE = "vhost-vsock-pci"
_QEMU_SECONDS = 10.0


class VsockChoice(msgspec.Struct, frozen=True):
    """What carries a machine's streams.

    Attributes:
        name: `vhost` (the kernel's vhost_vsock) or `vhost_user` (firkin's own device).
        reason: why not the kernel's; "" when it is, or when firkin's own was asked for.
    """

    name: str
    reason: str = ""


async def chosen_vsock(wanted: str, qemu: str, device: Path = DEVICE) -> VsockChoice:
    """Take what is wanted; `auto` is the kernel's device where it opens and QEMU can use it, else firkin's own.

    Raises:
        BootFailed: the kernel's device is wanted, and cannot be used.
    """
    if wanted == VHOST_USER:
        return VsockChoice(VHOST_USER)
    reason = vhost_obstacle(device) or await _obstacle_of_qemu(qemu)
    if reason and wanted == VHOST:
        raise BootFailed("use the kernel's vsock device", reason)
    return VsockChoice(VHOST_USER, reason) if reason else VsockChoice(VHOST)


async def _obstacle_of_qemu(qemu: str) -> str:
    """Whether QEMU was built with the device."""
    process = await asyncio.create_subprocess_exec(
        *(qemu, "-device", f"{_QEMU_DEVICE},help"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(_QEMU_SECONDS):
            status = await process.wait()
    except TimeoutError:
        return f"{qemu} does not tell whether it has {_QEMU_DEVICE}"
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    return "" if status == 0 else f"{qemu} has no {_QEMU_DEVICE}"
