"""Opening paths that must stay below a directory, whatever symlinks lie on the way (openat2(2))."""

from __future__ import annotations

import contextlib
import enum
import errno
import os
from collections.abc import Iterator

from firkin.domain.errors import PathRefused

from . import syscalls

_NO_XDEV, _NO_MAGICLINKS, _NO_SYMLINKS, _BENEATH, _IN_ROOT = 1, 2, 4, 8, 16
_RACE_ATTEMPTS = 32
DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Resolution(enum.IntEnum):
    """How a path is resolved; none follows a link of /proc, and none leaves the directory."""

    NO_SYMLINKS = _BENEATH | _NO_SYMLINKS | _NO_MAGICLINKS
    """Any symlink is refused."""
    ONE_FILESYSTEM = _BENEATH | _NO_SYMLINKS | _NO_MAGICLINKS | _NO_XDEV
    """Any symlink and any mount point is refused."""
    BENEATH = _BENEATH | _NO_MAGICLINKS
    """Symlinks are followed as long as they stay below; an absolute one is refused."""
    IN_ROOT = _IN_ROOT | _NO_MAGICLINKS
    """As after chroot(2): absolute symlinks and `..` stay inside."""


def open_beneath(directory: int, path: str | bytes, flags: int, resolution: Resolution, mode: int = 0) -> int:
    """Open `path` below the open `directory`; returns a file descriptor that the caller closes.

    Where the kernel has no openat2(2), every symlink is refused, whatever `resolution` says.

    Raises:
        OSError: ELOOP for a refused symlink, EXDEV for a path that leaves or crosses a mount; others as open(2).
    """
    for _ in range(_RACE_ATTEMPTS):
        try:
            return syscalls.openat2(directory, path, flags, mode, resolution)
        except OSError as error:
            # EAGAIN: something was renamed on the way, so the kernel could not be sure (openat2(2)).
            if error.errno == errno.ENOSYS:
                return walk_beneath(directory, path, flags, resolution, mode)
            if error.errno != errno.EAGAIN:
                raise
    raise OSError(errno.EXDEV, "the path keeps changing", path)


def walk_beneath(directory: int, path: str | bytes, flags: int, resolution: Resolution, mode: int = 0) -> int:
    """What open_beneath does on a kernel without openat2(2): component by component, no symlink at all.

    Raises:
        OSError: as open_beneath.
    """
    components = [part for part in os.fsencode(path).split(b"/") if part not in (b"", b".")]
    if b".." in components:
        raise OSError(errno.EXDEV, "the path has a '..' component", path)
    *parents, name = components or [b"."]
    with contextlib.ExitStack() as opened:
        current = directory
        for parent in parents:
            current = os.open(parent, DIRECTORY, dir_fd=current)
            opened.callback(os.close, current)
            _check_device(directory, current, resolution)
        result = os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, mode, dir_fd=current)
        opened.callback(os.close, result)
        _check_device(directory, result, resolution)
        if _is_symlink(result, flags):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        return os.dup(result)


def _check_device(directory: int, descriptor: int, resolution: Resolution) -> None:
    if resolution & _NO_XDEV and os.fstat(descriptor).st_dev != os.fstat(directory).st_dev:
        raise OSError(errno.EXDEV, "the path crosses a mount point")


def _is_symlink(descriptor: int, flags: int) -> bool:
    return bool(flags & os.O_PATH) and (os.fstat(descriptor).st_mode & 0o170000) == 0o120000


@contextlib.contextmanager
def opened_directory(path: str) -> Iterator[int]:
    """The directory at `path` (found by name, symlinks and all), open for the block."""
    if "\0" in path:
        raise PathRefused(path, "it contains NUL")
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def refusing(path: str) -> Iterator[None]:
    """Turn the errno of a confined open that would leave its directory into PathRefused."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise PathRefused(path, "it leads through a symlink", errno=error.errno) from error
        if error.errno == errno.EXDEV:
            raise PathRefused(path, "it leads out of its directory", errno=error.errno) from error
        if error.errno == errno.ENOTDIR:
            reason = "it leads through something that is no directory, perhaps a symlink"
            raise PathRefused(path, reason, errno=error.errno) from error
        raise
