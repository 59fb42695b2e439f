"""The memory of a scripted guest: a sealed memfd, with canaries around what the device is given."""

from __future__ import annotations

import fcntl
import mmap
import os
from typing import NamedTuple

CANARY_BYTES = 65536
_CANARY = b"\xa5" * CANARY_BYTES


class Region(NamedTuple):
    """A part of the memory, as SET_MEM_TABLE describes it."""

    guest_address: int
    size: int
    front_end_address: int
    file_offset: int


class GuestMemory:
    """Regions of one file, with canaries before, between and after them."""

    def __init__(self, sizes: tuple[int, ...] = (4 << 20,), seals: int = fcntl.F_SEAL_SHRINK) -> None:
        self.regions: list[Region] = []
        offset, guest_address = CANARY_BYTES, 0x100000
        for index, size in enumerate(sizes):
            self.regions.append(Region(guest_address, size, 0x7F0000000000 + (index << 32), offset))
            offset += size + CANARY_BYTES
            guest_address += size
        self.fd = os.memfd_create("guest", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self.fd, offset)
        if seals:
            fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, seals)
        self.map = mmap.mmap(self.fd, offset)
        for start in self._canaries():
            self.map[start : start + CANARY_BYTES] = _CANARY
        self._next = 0

    def close(self) -> None:
        self.map.close()
        os.close(self.fd)

    def allocate(self, size: int, region: int = 0) -> int:
        """The guest address of so many bytes of a region, aligned to 64."""
        assert region == 0
        address = self.regions[0].guest_address + self._next
        self._next += -(-size // 64) * 64
        assert self._next <= self.regions[0].size
        return address

    def offset(self, guest_address: int) -> int:
        """Where a guest address lies in the file."""
        for region in self.regions:
            if 0 <= guest_address - region.guest_address < region.size:
                return guest_address - region.guest_address + region.file_offset
        raise ValueError(hex(guest_address))

    def front_end_address(self, guest_address: int) -> int:
        for region in self.regions:
            if 0 <= guest_address - region.guest_address < region.size:
                return guest_address - region.guest_address + region.front_end_address
        raise ValueError(hex(guest_address))

    def read(self, guest_address: int, size: int) -> bytes:
        offset = self.offset(guest_address)
        return self.map[offset : offset + size]

    def write(self, guest_address: int, data: bytes) -> None:
        offset = self.offset(guest_address)
        self.map[offset : offset + len(data)] = data

    def canaries_are_whole(self) -> bool:
        """Whether nothing was written outside the regions."""
        return all(self.map[start : start + CANARY_BYTES] == _CANARY for start in self._canaries())

    def _canaries(self) -> list[int]:
        return [0] + [region.file_offset + region.size for region in self.regions]
