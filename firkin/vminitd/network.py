"""Network interfaces of the sandbox, by the ioctls of netdevice(7)."""

from __future__ import annotations

import fcntl
import socket
import struct

_SIOCGIFFLAGS = 0x8913
_SIOCSIFFLAGS = 0x8914
_SIOCSIFMTU = 0x8922
_IFF_UP = 0x1
_FLAGS = struct.Struct("16sh22x")
_MTU = struct.Struct("16si20x")
_NAME_BYTES = 15


def set_link(interface: str, *, up: bool, mtu: int | None) -> None:
    """Bring an interface up, or down, and set its MTU in bytes; as it is already is fine.

    Raises:
        OSError: there is no such interface, or the kernel refused.
    """
    name = interface.encode()[:_NAME_BYTES]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        if mtu is not None:
            fcntl.ioctl(control, _SIOCSIFMTU, _MTU.pack(name, mtu))
        flags = _FLAGS.unpack(fcntl.ioctl(control, _SIOCGIFFLAGS, _FLAGS.pack(name, 0)))[1]
        # Other agents take a link down that was asked for an MTU alone; that is a defect.
        wanted = flags | _IFF_UP if up or mtu is not None else flags & ~_IFF_UP
        if wanted != flags:
            fcntl.ioctl(control, _SIOCSIFFLAGS, _FLAGS.pack(name, wanted))
