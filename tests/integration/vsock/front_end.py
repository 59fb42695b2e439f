"""The front end of vhost-user, as a VMM would be it."""

from __future__ import annotations

import array
import socket
import struct
from pathlib import Path

from .memory import GuestMemory, Region
from .rings import DEADLINE_SECONDS, Ring

GET_FEATURES = 1
SET_FEATURES = 2
SET_OWNER = 3
SET_MEM_TABLE = 5
SET_VRING_NUM = 8
SET_VRING_ADDR = 9
SET_VRING_BASE = 10
GET_VRING_BASE = 11
SET_VRING_KICK = 12
SET_VRING_CALL = 13
GET_PROTOCOL_FEATURES = 15
SET_PROTOCOL_FEATURES = 16
SET_VRING_ENABLE = 18
GET_CONFIG = 24

VERSION_1 = 1 << 32
PROTOCOL_FEATURES = 1 << 30
REPLY_ACK = 1 << 3
CONFIG = 1 << 9

NEEDS_REPLY = 8


class UnexpectedReply(Exception):
    """The device answered something else."""


class FrontEnd:
    """A connection to the device's socket."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(DEADLINE_SECONDS)
        self.socket.connect(str(path))

    def close(self) -> None:
        self.socket.close()

    def send(self, request: int, payload: bytes = b"", files: tuple[int, ...] = (), flags: int = 1) -> None:
        message = struct.pack("<III", request, flags, len(payload)) + payload
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", files))] if files else []
        self.socket.sendmsg([message], ancillary)

    def ask(self, request: int, payload: bytes = b"") -> bytes:
        """Send a request that has an answer; the answer's payload."""
        self.send(request, payload)
        return self.reply(request)

    def do(self, request: int, payload: bytes = b"", files: tuple[int, ...] = ()) -> None:
        """Send a request and wait until it was carried out."""
        self.send(request, payload, files, flags=1 | NEEDS_REPLY)
        assert self.reply(request) == bytes(8)

    def reply(self, request: int) -> bytes:
        answered, flags, size = struct.unpack("<III", self._exactly(12))
        if (answered, flags) != (request, 1 | 4):
            raise UnexpectedReply(answered, flags)
        return self._exactly(size)

    def ask_number(self, request: int) -> int:
        (number,) = struct.unpack("<Q", self.ask(request))
        assert isinstance(number, int)
        return number

    def negotiate(self) -> None:
        """Features, as QEMU does."""
        assert self.ask_number(GET_FEATURES) == VERSION_1 | PROTOCOL_FEATURES
        assert self.ask_number(GET_PROTOCOL_FEATURES) == REPLY_ACK | CONFIG
        self.send(SET_PROTOCOL_FEATURES, struct.pack("<Q", REPLY_ACK | CONFIG))
        self.do(SET_OWNER)
        self.do(SET_FEATURES, struct.pack("<Q", VERSION_1 | PROTOCOL_FEATURES))

    def guest_cid(self) -> int:
        answer = self.ask(GET_CONFIG, struct.pack("<III", 0, 8, 0) + bytes(8))
        (cid,) = struct.unpack("<Q", answer[12:])
        assert isinstance(cid, int)
        return cid

    def share(self, memory: GuestMemory) -> None:
        self.do(SET_MEM_TABLE, memory_table(memory.regions), (memory.fd,) * len(memory.regions))

    def describe(self, index: int, ring: Ring, base: int = 0) -> None:
        """Say where a ring is, and at which index it begins."""
        memory = ring.memory
        self.do(SET_VRING_NUM, struct.pack("<II", index, ring.size))
        self.do(SET_VRING_BASE, struct.pack("<II", index, base))
        addresses = [memory.front_end_address(place) for place in (ring.descriptors, ring.used, ring.available)]
        self.do(SET_VRING_ADDR, struct.pack("<IIQQQQ", index, 0, *addresses, 0))

    def start(self, index: int, ring: Ring) -> None:
        self.do(SET_VRING_CALL, struct.pack("<Q", index), (ring.call,))
        self.do(SET_VRING_KICK, struct.pack("<Q", index), (ring.kick,))
        self.do(SET_VRING_ENABLE, struct.pack("<II", index, 1))

    def stop(self, index: int) -> int:
        """Make a ring stand still; the index it has come to."""
        _, base = struct.unpack("<II", self.ask(GET_VRING_BASE, struct.pack("<II", index, 0)))
        assert isinstance(base, int)
        return base

    def is_closed(self) -> bool:
        """Wait until the device has closed the connection."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = self.socket.recv(size - len(data))
            if not piece:
                raise EOFError("the device closed the connection")
            data += piece
        return data


def memory_table(regions: list[Region]) -> bytes:
    """The payload of SET_MEM_TABLE."""
    return struct.pack("<II", len(regions), 0) + b"".join(struct.pack("<QQQQ", *region) for region in regions)
