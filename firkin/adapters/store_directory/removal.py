"""Removing trees that containers have written: of any depth, with any links in them."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from pathlib import Path

DISCARDED_PREFIX = ".discarded-"
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def discard(parent: Path, victims: list[Path]) -> Path | None:
    """Move `victims` into a new directory below `parent`, of the same filesystem; None when none is left.

    Renaming is quick and atomic: a victim is there whole, or not at all. Where the filesystem is too full for
    one more directory, the victims are removed on the spot.
    """
    existing = [victim for victim in victims if os.path.lexists(victim)]
    if not existing:
        return None
    destination = parent / f"{DISCARDED_PREFIX}{secrets.token_hex(8)}"
    try:
        destination.mkdir(mode=0o700)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        for victim in existing:
            remove_tree(victim)
        return None
    for number, victim in enumerate(existing):
        with contextlib.suppress(FileNotFoundError):
            victim.rename(destination / str(number))
    return destination


def remove_tree(root: Path) -> None:
    """Remove a directory with all in it (or whatever else `root` is), following no link, without recursion.

    Every directory below is moved up into `root` before it is emptied, so that neither the depth of the tree nor
    the length of its paths matters, and two descriptors are all that is ever open.

    Raises:
        OSError: something cannot be removed, for example a mount point.
    """
    try:
        root_fd = os.open(root, _DIRECTORY)
    except NotADirectoryError:
        root.unlink()
        return
    try:
        while names := _emptied(root_fd):
            for name in names:
                directory_fd = os.open(name, _DIRECTORY, dir_fd=root_fd)
                try:
                    for inner in _emptied(directory_fd):
                        os.rename(inner, secrets.token_hex(16), src_dir_fd=directory_fd, dst_dir_fd=root_fd)
                finally:
                    os.close(directory_fd)
                os.rmdir(name, dir_fd=root_fd)
    finally:
        os.close(root_fd)
    root.rmdir()


def _emptied(directory_fd: int) -> list[str]:
    """Unlink everything but directories; returns their names."""
    directories = []
    with os.scandir(directory_fd) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                directories.append(entry.name)
            else:
                os.unlink(entry.name, dir_fd=directory_fd)
    return directories
