"""The packets of virtio-vsock: virtio 1.2, section 5.10.6."""

from __future__ import annotations

import struct
from typing import NamedTuple, Self

HOST_CID = 2
GUEST_CID = 3

REQUEST = 1
RESPONSE = 2
RESET = 3
SHUTDOWN = 4
PAYLOAD = 5
CREDIT_UPDATE = 6
CREDIT_REQUEST = 7

RECEIVES_NO_MORE = 1
SENDS_NO_MORE = 2
NO_MORE = 3

_LAYOUT = struct.Struct("<QQIIIHHIII")
HEADER_BYTES = _LAYOUT.size


class Packet(NamedTuple):
    """A header, and what follows it."""

    source_cid: int
    destination_cid: int
    source_port: int
    destination_port: int
    size: int
    type: int
    operation: int
    flags: int
    buffer_size: int
    forwarded: int
    payload: bytes = b""

    @classmethod
    def parse(cls, data: bytes) -> Self:
        return cls._make((*_LAYOUT.unpack_from(data), data[HEADER_BYTES:]))

    def encode(self) -> bytes:
        return _LAYOUT.pack(*self[:-1]) + self.payload
