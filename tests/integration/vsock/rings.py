"""A split virtqueue, the driver's side: virtio 1.2, section 2.7."""

from __future__ import annotations

import os
import select
import struct
from typing import NamedTuple

from .memory import GuestMemory

HAS_NEXT = 1
IS_WRITABLE = 2
IS_INDIRECT = 4
DEADLINE_SECONDS = 30.0


class Piece(NamedTuple):
    """A part of a buffer."""

    address: int
    size: int


class Used(NamedTuple):
    """A buffer that came back."""

    head: int
    written: int


class Ring:
    """A ring of `size` descriptors in the guest's memory."""

    def __init__(self, memory: GuestMemory, size: int = 128) -> None:
        self.memory = memory
        self.size = size
        self.descriptors = memory.allocate(16 * size)
        self.available = memory.allocate(6 + 2 * size)
        self.used = memory.allocate(6 + 8 * size)
        self.available_index = 0
        self.used_index = 0
        self.kick = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.call = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._free = list(range(size - 1, -1, -1))
        self._chains: dict[int, list[int]] = {}

    def close(self) -> None:
        os.close(self.kick)
        os.close(self.call)

    @property
    def free_descriptors(self) -> int:
        return len(self._free)

    def write_descriptor(self, index: int, address: int, size: int, flags: int, following: int) -> None:
        self.memory.write(self.descriptors + 16 * index, struct.pack("<QIHH", address, size, flags, following))

    def add(self, pieces: list[Piece], writable: bool) -> int:
        """Offer a buffer; its head."""
        chain = [self._free.pop() for _ in pieces]
        for place, (index, piece) in enumerate(zip(chain, pieces, strict=True)):
            is_last = place == len(chain) - 1
            flags = (IS_WRITABLE if writable else 0) | (0 if is_last else HAS_NEXT)
            self.write_descriptor(index, piece.address, piece.size, flags, 0 if is_last else chain[place + 1])
        self._chains[chain[0]] = chain
        self.offer(chain[0])
        return chain[0]

    def offer(self, head: int) -> None:
        """Put a head into the ring, whatever it is, and show it."""
        entry = self.available + 4 + 2 * (self.available_index % self.size)
        self.memory.write(entry, struct.pack("<H", head & 0xFFFF))
        self.available_index = (self.available_index + 1) & 0xFFFF
        self.show(self.available_index)

    def show(self, index: int) -> None:
        self.memory.write(self.available + 2, struct.pack("<H", index & 0xFFFF))

    def notify(self) -> None:
        """Kick, when the device wants to be told."""
        if not struct.unpack("<H", self.memory.read(self.used, 2))[0] & 1:
            os.eventfd_write(self.kick, 1)

    def take_used(self) -> Used | None:
        """The next buffer that came back, if there is one."""
        (index,) = struct.unpack("<H", self.memory.read(self.used + 2, 2))
        if index == self.used_index:
            return None
        entry = self.used + 4 + 8 * (self.used_index % self.size)
        head, written = struct.unpack("<II", self.memory.read(entry, 8))
        self.used_index = (self.used_index + 1) & 0xFFFF
        self._free.extend(reversed(self._chains.pop(head)))
        return Used(head, written)

    def wait(self, seconds: float = DEADLINE_SECONDS) -> bool:
        """Wait for an interrupt; False when none came."""
        if not select.select([self.call], [], [], seconds)[0]:
            return False
        os.eventfd_read(self.call)
        return True
