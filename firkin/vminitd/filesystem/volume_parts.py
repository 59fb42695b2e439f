"""Parts of volumes (`subPath`), found among whatever links containers have planted there, and mounted for one of them.

The kernel resolves the path within the volume (openat2(2)), and what it found is mounted by its descriptor: nothing
that a container changes meanwhile can put another file in its place.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat

import msgspec

from firkin.domain.errors import PathRefused
from firkin.domain.guest_path import GuestPath

from . import mounts, syscalls
from .beneath import Resolution, open_beneath, opened_directory, refusing
from .failures import translating
from .overlays import release_mount

_DIRECTORY = os.O_PATH | os.O_DIRECTORY


class VolumePart(msgspec.Struct, frozen=True):
    """What is at `relative_path` of the directory `volume`, to be mounted at `path`."""

    volume: GuestPath
    relative_path: str
    path: GuestPath


def mount_volume_part(part: VolumePart) -> None:
    """Find a part, making it a directory when it is missing, and mount it; what is mounted at its place goes first.

    Raises:
        PathRefused: the path leaves the volume, or leads to something that is neither a file nor a directory.
        StoreFull: no space left to make the directory.
        AgentError: it cannot be found or mounted.
    """
    where = f"{part.volume}/{part.relative_path}"
    if mounts.is_mount_point(part.path):
        release_mount(part.path)
    with translating("find part of volume", where), refusing(where), opened_directory(part.volume) as volume:
        found = _found(volume, part.relative_path, where)
        try:
            _mount(found, part.path, where)
        finally:
            os.close(found)


def _found(volume: int, path: str, where: str) -> int:
    """The part, open for nothing but its place."""
    for end in range(1, path.count("/") + 2):
        above = "/".join(path.split("/")[:end])
        with contextlib.suppress(FileNotFoundError):
            descriptor = open_beneath(volume, above, os.O_PATH, Resolution.BENEATH)
            if above == path:
                return descriptor
            os.close(descriptor)
            continue
        _make_directory(volume, above, where)
    return open_beneath(volume, path, _DIRECTORY, Resolution.BENEATH)


def _make_directory(volume: int, path: str, where: str) -> None:
    parent_path, _, name = path.rpartition("/")
    parent = open_beneath(volume, parent_path or ".", _DIRECTORY, Resolution.BENEATH)
    try:
        os.mkdir(name, 0o755, dir_fd=parent)
    except FileExistsError:
        if stat.S_ISLNK(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
            raise PathRefused(where, "it leads through a symlink to nothing", errno=errno.ENOENT) from None
        return
    finally:
        os.close(parent)
    made = open_beneath(volume, path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, Resolution.BENEATH)
    try:
        # Whoever may write to the volume may write here, as in Kubernetes.
        os.fchmod(made, stat.S_IMODE(os.fstat(volume).st_mode))
    finally:
        os.close(made)


def _mount(found: int, path: str, where: str) -> None:
    mode = os.fstat(found).st_mode
    if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
        raise PathRefused(where, "it is neither a file nor a directory")
    os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
    _make_mount_point(path, is_directory=stat.S_ISDIR(mode))
    syscalls.mount(f"/proc/self/fd/{found}", path, None, mounts.MS_BIND, None)


def _make_mount_point(path: str, *, is_directory: bool) -> None:
    """Make what the mount covers; an earlier start may have had a part of the other kind."""
    try:
        if os.path.isdir(path) and not is_directory:
            os.rmdir(path)
        elif os.path.lexists(path) and is_directory and not os.path.isdir(path):
            os.unlink(path)
        if is_directory:
            os.makedirs(path, 0o755, exist_ok=True)
        else:
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
    except OSError as error:
        if error.errno == errno.ENOTEMPTY:
            raise PathRefused(path, "something lies where the part was to be mounted", errno=error.errno) from error
        raise
