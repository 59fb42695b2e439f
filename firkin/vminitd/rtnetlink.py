"""The part of rtnetlink(7) that an agent needs: addresses and routes, asked for and added."""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator, Mapping

import msgspec

RTM_NEWADDR, RTM_GETADDR, RTM_NEWROUTE, RTM_GETROUTE = 20, 22, 24, 26
IFA_ADDRESS, IFA_LOCAL, IFA_FLAGS = 1, 2, 8
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PREFSRC = 1, 4, 5, 7

_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_REQUEST, _ACK, _EXCLUSIVE, _CREATE, _DUMP = 1, 4, 0x200, 0x400, 0x300
_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_ERRNO = struct.Struct("=i")
_SEQUENCE = 1
_TIMEOUT_SECONDS = 5.0
_DATAGRAM_BYTES = 1 << 16
_ATTRIBUTE_TYPE_MASK = 0x3FFF  # the rest are NLA_F_NESTED and NLA_F_NET_BYTEORDER


class Record(msgspec.Struct, frozen=True):
    """A message of a dump: its family's fixed part, and its attributes by number."""

    fixed: bytes
    attributes: dict[int, bytes]


def added(kind: int, fixed: bytes, attributes: Mapping[int, bytes]) -> bool:
    """Add an address or a route; False when the kernel has one of that key already.

    Raises:
        OSError: the kernel refused.
    """
    try:
        for _ in _answers(kind, _REQUEST | _ACK | _CREATE | _EXCLUSIVE, fixed, attributes):
            pass
    except FileExistsError:
        return False
    return True


def dumped(kind: int, fixed: bytes) -> list[Record]:
    """Everything of a kind that the kernel has.

    Raises:
        OSError: the kernel refused.
    """
    size = len(fixed)
    return [Record(body[:size], _attributes(body[size:])) for body in _answers(kind, _REQUEST | _DUMP, fixed, {})]


def _answers(kind: int, flags: int, fixed: bytes, attributes: Mapping[int, bytes]) -> Iterator[bytes]:
    body = _padded(fixed) + b"".join(
        _padded(_ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), number) + value) for number, value in attributes.items()
    )
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as kernel:
        kernel.settimeout(_TIMEOUT_SECONDS)
        kernel.bind((0, 0))
        kernel.sendto(_HEADER.pack(_HEADER.size + len(body), kind, flags, _SEQUENCE, 0) + body, (0, 0))
        while True:
            for answer, payload in _messages(kernel.recv(_DATAGRAM_BYTES)):
                if answer == _NLMSG_ERROR:
                    _raise_failure(payload)
                    return
                if answer == _NLMSG_DONE:
                    return
                yield payload


def _messages(datagram: bytes) -> Iterator[tuple[int, bytes]]:
    while len(datagram) >= _HEADER.size:
        length, kind, _, _, _ = _HEADER.unpack_from(datagram)
        if length < _HEADER.size:
            raise OSError(errno.EBADMSG, "the kernel's answer cannot be read")
        yield kind, datagram[_HEADER.size : length]
        datagram = datagram[_aligned(length) :]


def _raise_failure(payload: bytes) -> None:
    number = -_ERRNO.unpack_from(payload)[0]
    if number:
        raise OSError(number, os.strerror(number))


def _attributes(data: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    while len(data) >= _ATTRIBUTE.size:
        length, number = _ATTRIBUTE.unpack_from(data)
        if length < _ATTRIBUTE.size:
            break
        found[number & _ATTRIBUTE_TYPE_MASK] = data[_ATTRIBUTE.size : length]
        data = data[_aligned(length) :]
    return found


def _padded(data: bytes) -> bytes:
    return data.ljust(_aligned(len(data)), b"\0")


def _aligned(length: int) -> int:
    return (length + 3) & ~3
