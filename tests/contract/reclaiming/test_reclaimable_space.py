"""What every place with reclaimable space promises: images, layers, templates, and what machines boot from."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from firkin.adapters.guest_image_host import KeptGuestImages
from firkin.adapters.guest_image_host.places import IMAGES, INITRAMFS, KERNEL, ROOT
from firkin.adapters.image_library_oci import OciImageLibrary
from firkin.adapters.images_docker_archive import CachedLayers
from firkin.adapters.images_docker_archive.layer_cache import LayerCache, layers_directory
from firkin.adapters.memory import MemoryReclaimableSpace
from firkin.adapters.store_directory import DirectoryPodStore, DirectoryTemplates
from firkin.adapters.store_directory.locks import LOCKS
from firkin.adapters.vmm_qemu.image_hold import image_held
from firkin.domain.digest import Digest
from firkin.domain.ids import PodId
from firkin.domain.reclaiming import Reclaimable, ReclaimableKind
from firkin.domain.store_spec import PodStoreSpec
from firkin.ports.guest_image import GuestImage
from firkin.ports.reclaimable_space import ReclaimableSpace
from firkin.testkit.stocked import StockedSpace

POD = PodId("pod-1")


class _Stock:
    """Counts what is added, and finds it again."""

    def __init__(self, space: ReclaimableSpace) -> None:
        self.space = space
        self.added = 0

    async def made(self, make: Callable[[int], None]) -> Reclaimable:
        known = {item.identity for item in await self.space.items()}
        self.added += 1
        make(self.added)
        (item,) = [item for item in await self.space.items() if item.identity not in known]
        return item


class _Memory(_Stock):
    def __init__(self, _: Path) -> None:
        self._memory = MemoryReclaimableSpace()
        super().__init__(self._memory)

    async def add(self) -> Reclaimable:
        return await self.made(lambda number: self._memory.add(Reclaimable(ReclaimableKind.BLOB, f"{number}", 9, 0.0)))

    @contextlib.asynccontextmanager
    async def used(self, item: Reclaimable) -> AsyncIterator[None]:
        self._memory.hold(item.identity, "somebody uses it")
        yield
        self._memory.hold(item.identity, "")


class _Library(_Stock):
    """Blobs that no image refers to; all of them are in use while an image is being added."""

    def __init__(self, directory: Path) -> None:
        super().__init__(OciImageLibrary(directory))
        self._blobs = directory / "images/blobs/sha256"
        self._blobs.mkdir(parents=True)

    async def add(self) -> Reclaimable:
        def make(number: int) -> None:
            data = f"left over {number}".encode()
            (self._blobs / Digest.of(data).hex).write_bytes(data)

        return await self.made(make)

    @contextlib.asynccontextmanager
    async def used(self, item: Reclaimable) -> AsyncIterator[None]:
        descriptor = os.open(self._blobs, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            yield
        finally:
            os.close(descriptor)


class _Layers(_Stock):
    """Layers of archives, which are in use for a while after each time that they are asked for."""

    def __init__(self, directory: Path) -> None:
        self._layers = layers_directory(directory)
        self._layers.mkdir(parents=True)
        self._ahead_seconds = 3600.0
        super().__init__(CachedLayers(directory, lambda: time.time() + self._ahead_seconds))

    async def add(self) -> Reclaimable:
        def make(number: int) -> None:
            data = f"layer {number}".encode()
            (self._layers / Digest.of(data).hex).write_bytes(data)

        return await self.made(make)

    @contextlib.asynccontextmanager
    async def used(self, item: Reclaimable) -> AsyncIterator[None]:
        before, self._ahead_seconds = self._ahead_seconds, 0.0
        assert LayerCache(self._layers).found(Digest(item.identity), item.size_bytes)
        yield
        self._ahead_seconds = before


class _Templates(_Stock):
    """Templates of a directory store, which a pod holds."""

    def __init__(self, directory: Path) -> None:
        super().__init__(DirectoryTemplates(directory))
        self._store = DirectoryPodStore(directory)
        self._templates = directory / "store/templates"
        (directory / "store" / LOCKS).mkdir(parents=True)

    async def add(self) -> Reclaimable:
        def make(number: int) -> None:
            template = self._templates / f"sha256-{Digest.of(f'{number}'.encode()).hex}"
            (template / "rootfs").mkdir(parents=True)
            (template / "rootfs/file").write_bytes(b"x" * 4096)
            (template / ".complete").touch()

        return await self.made(make)

    @contextlib.asynccontextmanager
    async def used(self, item: Reclaimable) -> AsyncIterator[None]:
        async with self._store.opened(PodStoreSpec(), POD) as medium:
            await self._store.hold_template(medium, POD, Digest(item.identity))
            yield


class _GuestImages(_Stock):
    """What machines boot from."""

    def __init__(self, directory: Path) -> None:
        super().__init__(KeptGuestImages(directory))
        self._images = directory / IMAGES

    async def add(self) -> Reclaimable:
        def make(number: int) -> None:
            place = self._images / f"{number:032x}"
            place.mkdir(parents=True)
            for name in (KERNEL, INITRAMFS, ROOT):
                (place / name).write_bytes(b"x" * 4096)

        return await self.made(make)

    @contextlib.asynccontextmanager
    async def used(self, item: Reclaimable) -> AsyncIterator[None]:
        place = self._images / item.identity
        with image_held(GuestImage(item.identity, place / KERNEL, "", place / INITRAMFS, place / ROOT)) as is_held:
            assert is_held
            yield


_MAKERS: dict[str, Callable[[Path], StockedSpace]] = {
    "memory": _Memory,
    "image library": _Library,
    "layers of archives": _Layers,
    "templates": _Templates,
    "guest images": _GuestImages,
}


@pytest.fixture(params=list(_MAKERS))
def firkin_reclaimable_space(request: pytest.FixtureRequest, tmp_path: Path) -> StockedSpace:
    return _MAKERS[str(request.param)](tmp_path)
