"""Opens ext4 stores."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

from firkin.application.task_scope import TaskScope, finished
from firkin.domain.errors import (
    ConfigurationError,
    FirkinError,
    PermissionMissing,
    StoreFull,
    StoreInUse,
    StoreTooSmall,
)
from firkin.domain.ids import PodId
from firkin.domain.size import Size
from firkin.domain.store_spec import PodStoreSpec
from firkin.ports.store import StoreMedium

from .kernel_quotas import kernel_keeps_project_quotas
from .leftovers import remove_pods
from .making import BLOCK_BYTES, new_image, translated
from .superblock import checked_superblock

MINIMUM_SIZE = Size.mib(16)
_LITTLE_BYTES = Size.mib(1)
DEFAULT_SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Ext4PodStore:
    """Keeps the port PodStore with one sparse image per pod, or one that is kept and used by one pod at a time."""

    def __init__(self, state_dir: Path, search_path: str = DEFAULT_SEARCH_PATH, *, for_machines: bool = False) -> None:
        """Touch nothing yet; images without a path lie in `<state_dir>/pod-stores` while their pods live.

        Args:
            state_dir: where images of the pods' own lie.
            search_path: PATH on which e2fsprogs is looked up.
            for_machines: whether the kernel of a machine, which keeps project quotas, mounts them. An image that is
                kept has such quotas only where this host's kernel keeps them as well, for it could not write to it.
        """
        self._for_machines = for_machines
        self._own_images = state_dir.absolute() / "pod-stores"
        self._search_path = search_path

    @asynccontextmanager
    async def opened(self, spec: PodStoreSpec, pod_id: PodId) -> AsyncIterator[StoreMedium]:
        """Hold an image for this pod; an image of the pod's own goes at the end.

        Raises:
            StoreInUse: another pod holds the image.
            StoreDamaged: the file is no sound ext4 filesystem.
            StoreTooSmall: less than 16 MiB.
            StoreFull, PermissionMissing, ConfigurationError: the file cannot be made or opened.
            MissingTool: mke2fs is not installed.
        """
        opening = self._own(spec, pod_id) if spec.path is None else self._kept(spec.path.absolute(), spec)
        async with opening as medium:
            with _full_disk_told(medium.path):
                yield medium

    @asynccontextmanager
    async def _own(self, spec: PodStoreSpec, pod_id: PodId) -> AsyncIterator[StoreMedium]:
        size = _checked_size(self._own_images, spec.size)
        _remove_abandoned(self._own_images)
        path = self._own_images / f"{pod_id}-{secrets.token_hex(8)}.ext4"
        has_quotas = self._for_machines or kernel_keeps_project_quotas()
        async with new_image(path, size, kept=False, has_project_quotas=has_quotas, search_path=self._search_path):
            yield _medium(path)

    @asynccontextmanager
    async def _kept(self, path: Path, spec: PodStoreSpec) -> AsyncIterator[StoreMedium]:
        if _is_absent(path):
            await self._make(path, _checked_size(path, spec.size))
        with _held(path) as descriptor:
            _require_image(descriptor, path)
            medium = _medium(path)
            await self._remove_pods(path)
            try:
                yield medium
            finally:
                await self._remove_pods(path)

    async def _remove_pods(self, path: Path) -> None:
        """Remove what pods left, which is all gone already when the sandbox ended in order.

        What a machine wrote is left to the next machine: its guest may be hostile, and what it made of the filesystem
        is not for this host's kernel to mount.
        """
        if self._for_machines:
            return
        work = remove_pods(path, self._search_path)
        await finished(TaskScope().start(work, "remove what pods left in the store"))

    async def _make(self, path: Path, size_bytes: int) -> None:
        """Make an image aside and give it its name whole; somebody else may be quicker."""
        made = path.with_name(f".{path.name[:200]}.{secrets.token_hex(8)}")
        has_quotas = kernel_keeps_project_quotas()
        async with new_image(made, size_bytes, kept=True, has_project_quotas=has_quotas, search_path=self._search_path):
            try:
                os.link(made, path)
            except FileExistsError:
                return
            except OSError as error:
                raise translated(error, path) from error


@contextmanager
def _full_disk_told(image: Path) -> Iterator[None]:
    """Images are sparse: what their own disk has no space for fails in the sandbox, as a write that did not work.

    Raises:
        StoreFull: this is why the body failed.
    """
    try:
        yield
    except FirkinError as error:
        if error.errno == errno.EIO and _is_full(image.parent):
            raise StoreFull(str(image)) from error
        raise


def _is_full(directory: Path) -> bool:
    """Whether next to nothing can be written there; of a disk that cannot even be asked, that is not known."""
    try:
        disk = os.statvfs(directory)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < _LITTLE_BYTES


def _is_absent(path: Path) -> bool:
    return not os.path.lexists(path)


def _checked_size(path: Path, size_bytes: int) -> int:
    if size_bytes < MINIMUM_SIZE:
        raise StoreTooSmall(str(path), size_bytes, MINIMUM_SIZE)
    return size_bytes // BLOCK_BYTES * BLOCK_BYTES


@contextmanager
def _held(path: Path) -> Iterator[int]:
    """Lock an image (flock(2)); the kernel lets go of it when this process dies.

    Raises:
        StoreInUse: another pod holds it.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except IsADirectoryError as error:
        raise ConfigurationError(f"pod store {str(path)!r} is a directory, not an ext4 image") from error
    except OSError as error:
        raise translated(error, path) from error
    try:
        _lock(descriptor, path)
        yield descriptor
    finally:
        os.close(descriptor)


def _lock(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise StoreInUse(str(path)) from error


def _require_image(descriptor: int, path: Path) -> None:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise ConfigurationError(f"pod store {str(path)!r} is not a file")
    if status.st_size < MINIMUM_SIZE:
        raise StoreTooSmall(str(path), Size(status.st_size), MINIMUM_SIZE)


def _medium(path: Path) -> StoreMedium:
    """A copied image has its original's uuid, a new file may have a removed one's inode: both are needed."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        superblock = checked_superblock(descriptor, str(path))
        status = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    identity = f"ext4:{superblock.uuid}:{status.st_dev}:{status.st_ino}"
    return StoreMedium(path, "ext4", identity, superblock.has_project_quotas)


def _remove_abandoned(directory: Path) -> None:
    """Remove the images of pods whose owners died: nobody holds them."""
    for path in directory.glob("*.ext4"):
        with suppress(StoreInUse, PermissionMissing), _held(path):
            path.unlink(missing_ok=True)
