"""The ext4 superblock, as far as opening an image safely needs it (kernel documentation, ext4/super.rst)."""

from __future__ import annotations

import os
import shlex
import struct
import uuid

import msgspec

from firkin.domain.errors import StoreDamaged

_OFFSET = 1024
_LENGTH = 1024
_MAGIC = 0xEF53
_HAS_ERRORS = 0x2
_INCOMPAT_64BIT = 0x80
_PROJECT_QUOTAS = 0x0100 | 0x2000  # RO_COMPAT_QUOTA, RO_COMPAT_PROJECT


class Superblock(msgspec.Struct, frozen=True):
    """What a superblock says.

    Attributes:
        size_bytes: what the filesystem spans.
        uuid: which one it is.
        has_errors: whether it saw any.
        has_project_quotas: whether it keeps them; a kernel without them does not mount it for writing.
    """

    size_bytes: int
    uuid: str
    has_errors: bool
    has_project_quotas: bool

    @classmethod
    def parsed(cls, data: bytes) -> Superblock | None:
        """Read the 1,024 bytes of a superblock; None when they are none."""
        if len(data) < _LENGTH or _u16(data, 0x38) != _MAGIC:
            return None
        high = _u32(data, 0x150) if _u32(data, 0x60) & _INCOMPAT_64BIT else 0
        blocks = high << 32 | _u32(data, 0x4)
        block_size = 1024 << min(_u32(data, 0x18), 6)
        return cls(
            blocks * block_size,
            str(uuid.UUID(bytes=data[0x68:0x78])),
            has_errors=bool(_u16(data, 0x3A) & _HAS_ERRORS),
            has_project_quotas=_u32(data, 0x64) & _PROJECT_QUOTAS == _PROJECT_QUOTAS,
        )


def _u16(data: bytes, offset: int) -> int:
    return int(struct.unpack_from("<H", data, offset)[0])


def _u32(data: bytes, offset: int) -> int:
    return int(struct.unpack_from("<I", data, offset)[0])


def checked_superblock(descriptor: int, path: str) -> Superblock:
    """Read the superblock of an image; one that needs its journal replayed is fine, mounting does that.

    Raises:
        StoreDamaged: it is no ext4 filesystem, is cut short, or has recorded errors.
    """
    superblock = Superblock.parsed(os.pread(descriptor, _LENGTH, _OFFSET))
    if superblock is None:
        raise StoreDamaged(path, "it holds no ext4 filesystem")
    held = os.fstat(descriptor).st_size
    if held < superblock.size_bytes:
        reason = f"the file has {held} bytes, but its filesystem has {superblock.size_bytes}"
        raise StoreDamaged(path, f"{reason}; {_remedy(path)}")
    if superblock.has_errors:
        raise StoreDamaged(path, f"its filesystem has recorded errors; {_remedy(path)}")
    return superblock


def _remedy(path: str) -> str:
    return f"run `e2fsck -f {shlex.quote(path)}`, or remove the file to start afresh"
