"""Removing whole trees that a container may have shaped: nothing outside, nothing mounted, no depth too deep."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from typing import NamedTuple

from .beneath import Resolution, open_beneath

TRASH_PREFIX = ".trash-"
"""Names that begin so are no longer in use: whoever finds one may delete it."""

_DEPTH_LIMIT = 64
_PASSES = 16
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


def move_to_trash(parent: int, name: str, trash: int | None = None) -> str | None:
    """Rename `name` so that nobody finds it any more; returns its new name, or None when it does not exist.

    The new name is in the directory `trash`, or else beside the old one.

    Raises:
        OSError: EBUSY for a mount point; others as rename(2).
    """
    new_name = TRASH_PREFIX + secrets.token_hex(8)
    try:
        os.rename(name, new_name, src_dir_fd=parent, dst_dir_fd=parent if trash is None else trash)
    except FileNotFoundError:
        return None
    return new_name


def remove_tree(parent: int, name: str | bytes) -> None:
    """Remove `name` of the open directory `parent`, with everything below it when it is a directory.

    No symlink is followed and no mount point is entered. What is gone already is removed already. A tree
    deeper than file descriptors reach is flattened by renaming, so depth is no obstacle.

    Raises:
        OSError: EBUSY or EXDEV for a mount point on the way; others as unlink(2) and rmdir(2).
    """
    encoded = os.fsencode(name)
    if _unlinked(parent, encoded):
        return
    pending = [encoded]
    while pending:
        _remove_directory(parent, pending.pop(), _Flattening(parent, pending), 0)


class _Flattening(NamedTuple):
    """Where directories go that lie too deep, and the names they got there."""

    top: int
    moved: list[bytes]

    def take(self, directory: int, name: bytes) -> None:
        new_name = os.fsencode(TRASH_PREFIX + secrets.token_hex(8))
        os.rename(name, new_name, src_dir_fd=directory, dst_dir_fd=self.top)
        self.moved.append(new_name)


def _unlinked(parent: int, name: bytes) -> bool:
    """Unlink what is not a directory; False for a directory."""
    try:
        os.unlink(name, dir_fd=parent)
    except FileNotFoundError:
        return True
    except IsADirectoryError:
        return False
    except PermissionError:
        # POSIX has EPERM for a directory; Linux has it for an immutable file too.
        if os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode & 0o170000 == 0o040000:
            return False
        raise
    return True


def _remove_directory(parent: int, name: bytes, flattening: _Flattening, depth: int) -> None:
    try:
        directory = open_beneath(parent, name, _DIRECTORY, Resolution.ONE_FILESYSTEM)
    except FileNotFoundError:
        return
    try:
        # Again while something is added: a process that still runs there may write on.
        for _ in range(_PASSES):
            if not _emptied(directory, flattening, depth):
                break
    finally:
        os.close(directory)
    with contextlib.suppress(FileNotFoundError):
        try:
            os.rmdir(name, dir_fd=parent)
        except OSError as error:
            if error.errno != errno.ENOTEMPTY:
                raise
            raise OSError(errno.EBUSY, "files keep being added to it") from error


def _emptied(directory: int, flattening: _Flattening, depth: int) -> bool:
    """Remove every entry once; True when there was one."""
    with os.scandir(directory) as listing:
        names = [os.fsencode(entry.name) for entry in listing]
    for name in names:
        if _unlinked(directory, name):
            continue
        if depth < _DEPTH_LIMIT:
            _remove_directory(directory, name, flattening, depth + 1)
        else:
            flattening.take(directory, name)
    return bool(names)
