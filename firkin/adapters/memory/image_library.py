"""Kept images, and space to give back, in memory."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from firkin.domain.digest import Digest
from firkin.domain.errors import ImageNotFound, UnsupportedFeature
from firkin.domain.image import ImageBundle
from firkin.domain.image_names import image_name, kept_name
from firkin.domain.reclaiming import Reclaimable
from firkin.ports.image_library import KeptImage, RemovedImage

from .faults import Faults


class MemoryImageLibrary:
    """Keeps the port ImageLibrary with a dictionary; layers are not read."""

    def __init__(self, faults: Faults | None = None) -> None:
        self._faults = faults or Faults()
        self._bundles: dict[str, ImageBundle] = {}

    async def keep(self, bundle: ImageBundle, name: str) -> KeptImage:
        """Give an image a name; see `firkin.ports.image_library`."""
        await self._faults.reach("library.keep")
        if bundle.documents is None:
            raise UnsupportedFeature(f"keeping {bundle.reference}", "its image source hands over no documents")
        self._bundles[image_name(name)] = bundle
        return _kept(name, bundle)

    async def images(self) -> tuple[KeptImage, ...]:
        """All there are, by name."""
        await self._faults.reach("library.images")
        return tuple(_kept(name, bundle) for name, bundle in sorted(self._bundles.items()))

    async def remove(self, name: str, digest: Digest | None = None) -> RemovedImage:
        """Take a name away.

        Raises:
            ImageNotFound: there is no such image.
        """
        await self._faults.reach("library.remove")
        found = kept_name(name, f"image:{name}", self._bundles)
        if digest not in (None, self._bundles[found].digest):
            raise ImageNotFound(f"image:{name}@{digest}", f"{found} is {self._bundles[found].digest} now")
        bundle = self._bundles.pop(found)
        others = {layer.digest for other in self._bundles.values() for layer in other.layers}
        freed = {layer.digest: layer.size_bytes for layer in bundle.layers if layer.digest not in others}
        return RemovedImage(found, bundle.digest, sum(freed.values()))


class MemoryReclaimableSpace:
    """Keeps the port ReclaimableSpace with a list; a test may `hold` an item at any time."""

    def __init__(self, items: Iterable[Reclaimable] = ()) -> None:
        self._items = {item.identity: item for item in items}

    def hold(self, identity: str, reason: str) -> None:
        """Let an item be in use from now on."""
        self._items[identity] = replace(self._items[identity], held=reason)

    def add(self, *items: Reclaimable) -> None:
        """Let there be more from now on."""
        self._items |= {item.identity: item for item in items}

    async def items(self) -> tuple[Reclaimable, ...]:
        """All that is left."""
        return tuple(self._items.values())

    async def reclaim(self, item: Reclaimable) -> Reclaimable:
        """Remove an item that is not in use."""
        current = self._items.get(item.identity, item)
        if not current.held:
            self._items.pop(item.identity, None)
        return current


def _kept(name: str, bundle: ImageBundle) -> KeptImage:
    created = bundle.documents.created if bundle.documents else ""
    size_bytes = sum(layer.size_bytes for layer in bundle.layers)
    return KeptImage(name, bundle.digest, bundle.platform, len(bundle.layers), size_bytes, created)
