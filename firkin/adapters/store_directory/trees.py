"""Removing and measuring trees that containers have written: of any depth, with any links in them.

Also a program of its own, with nothing but the standard library: `python trees.py remove|measure PATH...`.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
from collections.abc import Sequence

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_BLOCK_BYTES = 512
REMOVE, MEASURE = "remove", "measure"


def remove_tree(root: str | os.PathLike[str]) -> None:
    """Remove a directory with all in it (or whatever else `root` is), following no link, without recursion.

    Every directory below is moved up into `root` before it is emptied, so that neither the depth of the tree nor
    the length of its paths matters, and two descriptors are all that is ever open.

    Raises:
        OSError: something cannot be removed, for example a mount point.
    """
    try:
        root_fd = os.open(root, _DIRECTORY)
    except NotADirectoryError:
        os.unlink(root)
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
    os.rmdir(root)


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


def used_bytes(root: str | os.PathLike[str]) -> int:
    """The space of a tree, where a file of several names counts once; what goes away meanwhile does not count.

    Raises:
        PermissionError: part of it is closed to the caller.
    """
    total = 0
    seen: set[int] = set()
    waiting = [os.fspath(root)]
    while waiting:
        with contextlib.suppress(FileNotFoundError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                status = entry.stat(follow_symlinks=False)
                if status.st_nlink > 1 and not entry.is_dir(follow_symlinks=False):
                    if status.st_ino in seen:
                        continue
                    seen.add(status.st_ino)
                total += status.st_blocks * _BLOCK_BYTES
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
    return total


def main(arguments: Sequence[str]) -> None:
    """Do the one thing that is named first to each path after it."""
    task, *paths = arguments
    for path in paths:
        if task == REMOVE:
            with contextlib.suppress(FileNotFoundError):
                remove_tree(path)
        else:
            print(used_bytes(path))


if __name__ == "__main__":
    main(sys.argv[1:])
