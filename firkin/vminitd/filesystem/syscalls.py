"""System calls that the standard library lacks; every failure is an OSError with its errno."""

from __future__ import annotations

import ctypes
import fcntl
import os
import struct
import sys

_libc = ctypes.CDLL(None, use_errno=True)

# The same numbers on every architecture: they were added after the tables were joined.
_SYS_OPENAT2 = 437
_SYS_MOUNT_SETATTR = 442

_AT_SYMLINK_NOFOLLOW = 0x100
_AT_RECURSIVE = 0x8000
_STATX_SIZE = 256
_STATX_ATTRIBUTES = struct.Struct("=8xQ")
_STATX_ATTRIBUTES_MASK = struct.Struct("=56xQ")
_STATX_ATTR_MOUNT_ROOT = 0x2000

_OPEN_HOW = struct.Struct("=QQQ")
_MOUNT_ATTR = struct.Struct("=QQQQ")
_FSTRIM_RANGE = struct.Struct("=QQQ")
_FITRIM = 0xC0185879
_STATFS_BYTES = 256
_UINT64_MAX = 2**64 - 1


def _failed(path: str | bytes = "") -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number), path) if path else OSError(number, os.strerror(number))


def _encoded(text: str | None) -> bytes | None:
    return None if text is None else os.fsencode(text)


def mount(source: str | None, target: str, filesystem: str | None, flags: int, data: str | None) -> None:
    """mount(2)."""
    result = _libc.mount(
        _encoded(source), os.fsencode(target), _encoded(filesystem), ctypes.c_ulong(flags), _encoded(data or None)
    )
    if result != 0:
        raise _failed(target)


def unmount(target: str, flags: int) -> None:
    """umount2(2)."""
    if _libc.umount2(os.fsencode(target), flags) != 0:
        raise _failed(target)


def set_mount_attributes(target: str, attributes: int, *, recursive: bool) -> None:
    """mount_setattr(2): switch `attributes` (MOUNT_ATTR_*) on; Linux 5.12."""
    structure = _MOUNT_ATTR.pack(attributes, 0, 0, 0)
    at = _AT_RECURSIVE if recursive else 0
    if _libc.syscall(_SYS_MOUNT_SETATTR, -100, os.fsencode(target), at, structure, len(structure)) != 0:
        raise _failed(target)


def openat2(directory: int, path: str | bytes, flags: int, mode: int, resolve: int) -> int:
    """openat2(2): open `path` at the directory file descriptor, resolving it by the RESOLVE_* rules; Linux 5.6."""
    how = _OPEN_HOW.pack(flags | os.O_CLOEXEC, mode, resolve)
    result: int = _libc.syscall(_SYS_OPENAT2, directory, os.fsencode(path), how, len(how))
    if result < 0:
        raise _failed(path)
    return result


def is_mount_root(path: str) -> bool:
    """True when `path` (a symlink is not followed) is where a mount begins: statx(2), Linux 5.8."""
    result = ctypes.create_string_buffer(_STATX_SIZE)
    if _libc.statx(-100, os.fsencode(path), _AT_SYMLINK_NOFOLLOW, 0, result) != 0:
        raise _failed(path)
    (attributes,) = _STATX_ATTRIBUTES.unpack_from(result.raw)
    (known,) = _STATX_ATTRIBUTES_MASK.unpack_from(result.raw)
    if not known & _STATX_ATTR_MOUNT_ROOT:
        raise OSError(95, "the kernel cannot tell mount points")
    return bool(attributes & _STATX_ATTR_MOUNT_ROOT)


def sync_filesystem(descriptor: int) -> None:
    """syncfs(2): write the whole filesystem of an open file out."""
    if _libc.syncfs(descriptor) != 0:
        raise _failed()


def trim_filesystem(descriptor: int, minimum_bytes: int) -> int:
    """FITRIM: give unused extents of at least `minimum_bytes` back; returns the bytes trimmed."""
    argument = bytearray(_FSTRIM_RANGE.pack(0, _UINT64_MAX, minimum_bytes))
    fcntl.ioctl(descriptor, _FITRIM, argument, True)
    trimmed: int = int.from_bytes(argument[8:16], sys.byteorder)
    return trimmed


def filesystem_magic(descriptor: int) -> int:
    """fstatfs(2): the number of the filesystem (linux/magic.h) that an open file lies on."""
    result = ctypes.create_string_buffer(_STATFS_BYTES)
    if _libc.fstatfs(descriptor, result) != 0:
        raise _failed()
    return int.from_bytes(result.raw[:4], sys.byteorder)
