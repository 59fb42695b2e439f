"""Guest images and kernels that are kept, and giving their space back."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from firkin.domain.errors import PermissionMissing
from firkin.domain.reclaiming import Reclaimable, ReclaimableKind

from .places import BUILDING, IMAGES, KERNELS, ROOT

_BLOCK_BYTES = 512
_IN_USE = "a machine runs from it"
_BEING_WRITTEN = "it is being built"


class KeptGuestImages:
    """Keeps the port ReclaimableSpace with the directory of HostGuestImages.

    A machine holds a shared lock (flock(2)) on the root filesystem that it runs from, and whoever builds has the
    directory of images locked.
    """

    def __init__(self, directory: Path) -> None:
        """Touch nothing yet."""
        self._directory = directory

    async def items(self) -> tuple[Reclaimable, ...]:
        """Images, kernels that were downloaded, and what interrupted builds left."""
        return await asyncio.to_thread(lambda: tuple(self._items()))

    async def reclaim(self, item: Reclaimable) -> Reclaimable:
        """Remove one, unless it came into use meanwhile; the next machine that needs it has it built again."""
        return await asyncio.to_thread(self._reclaim, item)

    def _items(self) -> Iterator[Reclaimable]:
        images, kernels = self._directory / IMAGES, self._directory / KERNELS
        for path in _listed(images):
            if path.name.startswith("."):
                held = _BEING_WRITTEN if path.name.startswith(BUILDING) and is_locked(images) else ""
                yield _item(ReclaimableKind.PARTIAL, path, held)
            else:
                yield _item(ReclaimableKind.GUEST_IMAGE, path, _IN_USE if is_locked(path / ROOT) else "")
        for path in _listed(kernels):
            yield _item(ReclaimableKind.GUEST_KERNEL, path, "")

    def _reclaim(self, item: Reclaimable) -> Reclaimable:
        home = KERNELS if item.kind is ReclaimableKind.GUEST_KERNEL else IMAGES
        place = self._directory / home / item.identity
        locked = place / ROOT if item.kind is ReclaimableKind.GUEST_IMAGE else self._directory / IMAGES
        try:
            if not removed_unless_locked(place, locked):
                held = _IN_USE if item.kind is ReclaimableKind.GUEST_IMAGE else _BEING_WRITTEN
                return Reclaimable(item.kind, item.identity, item.size_bytes, item.last_used, held)
        except PermissionError as error:
            remedy = "run as the user that owns it"
            raise PermissionMissing(f"remove {str(place)!r} ({error.strerror})", remedy) from error
        return item


def removed_unless_locked(place: Path, locked: Path) -> bool:
    """Remove a directory while nobody else can lock `locked`; False, and it stays, when somebody has."""
    with _exclusively(locked) as is_free:
        if is_free:
            _remove(place)
        return is_free


def _remove(place: Path) -> None:
    # By one step out of the sight of those who look for it.
    aside = place.with_name(f".removing-{secrets.token_hex(4)}")
    with contextlib.suppress(FileNotFoundError):
        place.rename(aside)
        shutil.rmtree(aside)


def _listed(directory: Path) -> list[Path]:
    try:
        return sorted(path for path in directory.iterdir() if path.is_dir() and not path.is_symlink())
    except FileNotFoundError:
        return []
    except PermissionError as error:
        raise PermissionMissing(f"list {str(directory)!r}", "run as the user that owns it") from error


def _item(kind: ReclaimableKind, path: Path, held: str) -> Reclaimable:
    size, last_used = 0, 0.0
    with contextlib.suppress(FileNotFoundError):
        last_used = path.stat().st_mtime
        size = sum(file.lstat().st_blocks * _BLOCK_BYTES for file in path.rglob("*"))
    return Reclaimable(kind, path.name, size, last_used, held)


@contextlib.contextmanager
def _exclusively(path: Path) -> Iterator[bool]:
    """Hold the lock of a file for a body; False when somebody else has it. What is not there nobody holds."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield True
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            # Another may have removed it before, and somebody made it again: the lock is then of nothing.
            yield _is_in_place(descriptor, path)
    finally:
        os.close(descriptor)


def _is_in_place(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return True


def is_locked(path: Path) -> bool:
    """Whether somebody holds the lock of a file; of one that is not there nobody does."""
    with _exclusively(path) as is_free:
        return not is_free
