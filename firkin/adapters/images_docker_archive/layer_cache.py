"""Layers of archives as files of the host, each under the digest of its bytes."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import hashlib
import os
import secrets
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec

from firkin.domain.digest import Digest
from firkin.domain.errors import ImageSpaceMissing, InvalidDigest, PermissionMissing
from firkin.domain.reclaiming import Reclaimable, ReclaimableKind

_PARTIAL = ".partial-"
_IN_USE_SECONDS = 600.0
"""A layer that was asked for within this time may be about to be applied."""


class LayerCache:
    """A directory of layers. Every layer in it is whole; writers and readers need no lock between them."""

    def __init__(self, directory: Path) -> None:
        """Touch nothing yet; `directory` is made when the first layer is added."""
        self._directory = directory

    def found(self, digest: Digest, size: int) -> Path | None:
        """The file of a layer that is there with this size; it counts as used now."""
        path = self._directory / digest.hex
        try:
            status = path.lstat()
            if not stat.S_ISREG(status.st_mode) or status.st_size != size:
                return None
            with contextlib.suppress(PermissionError):
                os.utime(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        return path

    def added(self, chunks: Iterable[bytes], size: int, refused: Callable[[Digest], Exception | None]) -> Path:
        """Write a layer of `size` bytes; `refused` tells the error when its digest is not the right one.

        Raises:
            ImageSpaceMissing, PermissionMissing: it cannot be kept.
        """
        with _translated(self._directory):
            for directory in (self._directory.parent, self._directory):
                directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            space = os.statvfs(self._directory)
        if space.f_bavail * space.f_frsize < size:
            raise ImageSpaceMissing(str(self._directory))
        with self._partial() as (file_fd, partial):
            digest = _copied(chunks, file_fd, self._directory)
            error = refused(digest)
            if error is not None:
                raise error
            with _translated(self._directory):
                os.fsync(file_fd)
                path = self._directory / digest.hex
                partial.rename(path)
        return path

    @contextlib.contextmanager
    def _partial(self) -> Iterator[tuple[int, Path]]:
        """A new file that is removed at the end unless it was renamed; its lock tells that it is being written."""
        path = self._directory / f"{_PARTIAL}{secrets.token_hex(8)}"
        with _translated(self._directory):
            file_fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file_fd, fcntl.LOCK_EX)
            yield file_fd, path
        finally:
            path.unlink(missing_ok=True)
            os.close(file_fd)


class CachedLayers:
    """What the cache of layers holds and can make again: keeps the port ReclaimableSpace."""

    def __init__(self, cache_dir: Path, now: Callable[[], float]) -> None:
        """`now` tells the seconds since 1970."""
        self._directory = layers_directory(cache_dir)
        self._now = now

    async def items(self) -> tuple[Reclaimable, ...]:
        """All layers, and what writers that died have left."""
        return await asyncio.to_thread(lambda: tuple(self._items()))

    async def reclaim(self, item: Reclaimable) -> Reclaimable:
        """Remove one, unless somebody has asked for it meanwhile."""
        return await asyncio.to_thread(self._reclaim, item)

    def _items(self) -> Iterator[Reclaimable]:
        with _translated(self._directory), contextlib.suppress(FileNotFoundError):
            for path in sorted(self._directory.iterdir()):
                with contextlib.suppress(FileNotFoundError):
                    yield from self._item(path)

    def _item(self, path: Path) -> Iterator[Reclaimable]:
        status = path.lstat()
        if path.name.startswith(_PARTIAL):
            held = "it is being written" if _is_locked(path) else ""
            yield Reclaimable(ReclaimableKind.PARTIAL, path.name, status.st_size, status.st_mtime, held)
            return
        try:
            digest = Digest(f"sha256:{path.name}")
        except InvalidDigest:
            return
        is_fresh = self._now() - status.st_mtime < _IN_USE_SECONDS
        held = f"it was used within the last {_IN_USE_SECONDS / 60:.0f} minutes" if is_fresh else ""
        yield Reclaimable(ReclaimableKind.CACHED_LAYER, digest, status.st_size, status.st_mtime, held)

    def _reclaim(self, item: Reclaimable) -> Reclaimable:
        path = self._directory / item.identity.removeprefix("sha256:")
        try:
            current = next(self._item(path), None)
        except FileNotFoundError:
            return item
        if current is None or current.held:
            return msgspec.structs.replace(item, held=current.held if current else "it is no layer")
        with _translated(self._directory):
            path.unlink(missing_ok=True)
        return item


def layers_directory(cache_dir: Path) -> Path:
    """Where the layers lie."""
    return cache_dir / "sha256"


def _copied(chunks: Iterable[bytes], file_fd: int, directory: Path) -> Digest:
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
        with _translated(directory):
            _write_all(file_fd, chunk)
    return Digest(f"sha256:{digest.hexdigest()}")


def _write_all(file_fd: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(file_fd, left) :]


def _is_locked(path: Path) -> bool:
    file_fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(file_fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file_fd)
    return False


@contextlib.contextmanager
def _translated(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ImageSpaceMissing(str(directory)) from error
        remedy = f"{error.strerror}; choose another state directory, or run as its owner"
        raise PermissionMissing(f"write to {directory}", remedy) from error
