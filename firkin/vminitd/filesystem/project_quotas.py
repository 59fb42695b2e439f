"""Directories that hold so many bytes and no more, by project quotas of ext4 (quotactl(2), ioctl_xfs(2)).

A directory's project is inherited by what is made below it. Who writes beyond the limit gets EDQUOT: ext4, unlike XFS,
knows no other answer. The store is all the agent's own, and so are its projects: one that uses nothing is free.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import struct
import threading

from .beneath import opened_directory

_SYS_QUOTACTL_FD = 443  # Linux 5.14
_PROJECT_QUOTAS = 2
_Q_GETINFO, _Q_GETQUOTA, _Q_SETQUOTA = 0x800005, 0x800007, 0x800008
# struct if_dqblk: hard and soft limit of blocks, bytes in use, the same of inodes, two times, what is valid.
_QUOTA = struct.Struct("=8QI4x")
_QUOTA_BLOCK_BYTES = 1024
_LIMITS_ARE_VALID = 1 | 4
_INFO_BYTES = 24

_FS_IOC_FSGETXATTR, _FS_IOC_FSSETXATTR = 0x801C581F, 0x401C5820
# struct fsxattr: flags, extent size, extents, project, size of extents that are copied on write.
_ATTRIBUTES = struct.Struct("=5I8x")
_INHERITED = 0x200

_BYTES_PER_INODE = 4096
_ABSENT = (errno.ENOSYS, errno.ESRCH, errno.EINVAL, errno.ENOTSUP, errno.ENOTBLK, errno.EPERM)

_libc = ctypes.CDLL(None, use_errno=True)
_choosing = threading.Lock()


def keeps_project_quotas(path: str) -> bool:
    """Whether the filesystem of the directory `path` holds projects to limits."""
    try:
        with opened_directory(path) as directory:
            _quotactl(directory, _Q_GETINFO, 0, bytearray(_INFO_BYTES))
    except OSError as error:
        if error.errno in _ABSENT:
            return False
        raise
    return True


def limit_directory(path: str, limit_bytes: int) -> None:
    """Make the empty directory `path` a project of its own that holds `limit_bytes`, and a file for each 4 KiB of it.

    Raises:
        OSError: the filesystem keeps no project quotas, or refused.
    """
    with opened_directory(path) as directory, _choosing:
        project = _free_project(directory)
        blocks = -(-limit_bytes // _QUOTA_BLOCK_BYTES)
        _set_limits(directory, project, blocks, -(-limit_bytes // _BYTES_PER_INODE))
        flags, extent_bytes, extents, _, copied_bytes = _attributes(directory)
        attributes = _ATTRIBUTES.pack(flags | _INHERITED, extent_bytes, extents, project, copied_bytes)
        # From here on the directory itself is in use by the project, which is thereby taken.
        fcntl.ioctl(directory, _FS_IOC_FSSETXATTR, attributes)


def project_of(path: str) -> int:
    """The project of the directory `path`; 0 is none.

    Raises:
        OSError: it cannot be told.
    """
    with opened_directory(path) as directory:
        return _attributes(directory)[3]


def forget_project(store_path: str, project: int) -> None:
    """Take the limits off a project whose directory was removed.

    Raises:
        OSError: they stay; a later project of the same number has its own.
    """
    with opened_directory(store_path) as directory:
        _set_limits(directory, project, 0, 0)


def _free_project(directory: int) -> int:
    project = 1
    while True:
        quota = bytearray(_QUOTA.size)
        _quotactl(directory, _Q_GETQUOTA, project, quota)
        _, _, used_bytes, _, _, used_inodes, *_ = _QUOTA.unpack(quota)
        if not used_bytes and not used_inodes:
            return project
        project += 1


def _set_limits(directory: int, project: int, blocks: int, inodes: int) -> None:
    quota = bytearray(_QUOTA.pack(blocks, blocks, 0, inodes, inodes, 0, 0, 0, _LIMITS_ARE_VALID))
    _quotactl(directory, _Q_SETQUOTA, project, quota)


def _attributes(directory: int) -> tuple[int, int, int, int, int]:
    buffer = bytearray(_ATTRIBUTES.size)
    fcntl.ioctl(directory, _FS_IOC_FSGETXATTR, buffer)
    flags, extent_bytes, extents, project, copied_bytes = _ATTRIBUTES.unpack(buffer)
    return flags, extent_bytes, extents, project, copied_bytes


def _quotactl(directory: int, command: int, identity: int, argument: bytearray) -> None:
    address = (ctypes.c_char * len(argument)).from_buffer(argument)
    whole = ctypes.c_uint(command << 8 | _PROJECT_QUOTAS)
    if _libc.syscall(_SYS_QUOTACTL_FD, directory, whole, ctypes.c_uint(identity), address) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
