"""The host kernel's own vsock device (vhost_vsock): opened here, with an address that no other machine has."""

from __future__ import annotations

import errno
import fcntl
import os
import random
import socket
import struct
from pathlib import Path

from firkin.domain.errors import BootFailed

DEVICE = Path("/dev/vhost-vsock")
_SET_GUEST_CID = 0x4008AF60  # linux/vhost.h: VHOST_VSOCK_SET_GUEST_CID, of a u64
_FIRST_CID, _LAST_CID = 0x400, 0x7FFFFFFF  # the lowest ones are those that people give by hand
_ATTEMPTS = 64


class VhostDevice:
    """The opened device, which QEMU inherits; `close` must be called.

    Attributes:
        guest_cid: the machine's address among all of this host's.
    """

    def __init__(self, path: Path = DEVICE) -> None:
        """Open the device and take a free address.

        Raises:
            BootFailed: the device cannot be opened, or gives no address.
        """
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise BootFailed("open the vsock device", f"{path}: {error.strerror}") from error
        try:
            self.guest_cid = _free_cid(self._file)
        except OSError as error:
            self.close()
            raise BootFailed("take an address for the vsock device", f"{path}: {error.strerror}") from error

    def fileno(self) -> int:
        """For QEMU, until `close`."""
        return self._file

    def close(self) -> None:
        """Let go of it; QEMU has it still. Twice is fine."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _free_cid(device: int) -> int:
    for _ in range(_ATTEMPTS):
        cid = random.randint(_FIRST_CID, _LAST_CID)
        try:
            fcntl.ioctl(device, _SET_GUEST_CID, struct.pack("=Q", cid))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
        else:
            return cid
    raise OSError(errno.EADDRINUSE, f"{_ATTEMPTS} addresses were in use")


def vhost_obstacle(path: Path = DEVICE) -> str:
    """Why the kernel's device cannot be used, as far as a look tells; "" when nothing speaks against it."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        return f"there is no {path}" if error.errno == errno.ENOENT else f"{path} cannot be opened: {error.strerror}"
    try:
        socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM).close()
    except OSError as error:
        return f"{path} opens, but this kernel has no vsock sockets: {error.strerror}"
    return ""
