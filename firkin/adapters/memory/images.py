"""Images in memory."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from firkin.domain.digest import Digest
from firkin.domain.errors import ImageNotFound, PlatformMissing
from firkin.domain.image import ImageBundle, ImageConfig, LayerBlob, Platform, chained_layers

from .faults import Faults


class MemoryImageSource:
    """Images that a test declared: `add` them, and resolve them as `memory:NAME`."""

    def __init__(self, faults: Faults | None = None) -> None:
        self._faults = faults or Faults()
        self._bundles: dict[str, ImageBundle] = {}

    @property
    def scheme(self) -> str:
        """`memory`."""
        return "memory"

    def add(
        self,
        name: str,
        config: ImageConfig | None = None,
        layers: Iterable[str] = ("base",),
        platform: Platform | None = None,
    ) -> ImageBundle:
        """Declare an image. `layers` are any texts: the same text is the same layer."""
        texts = tuple(layers)
        blobs = tuple(_blob(text) for text in texts)
        diff_ids = tuple(Digest.of(f"tar {text}".encode()) for text in texts)
        digest = Digest.of(repr((name, texts)).encode())
        where = platform or Platform.current()
        bundle = ImageBundle(f"memory:{name}", digest, where, config or ImageConfig(), chained_layers(blobs, diff_ids))
        self._bundles[name] = bundle
        return bundle

    async def resolve(self, reference: str, platform: Platform) -> ImageBundle:
        """Find a declared image.

        Raises:
            ImageNotFound, PlatformMissing: it was not declared, or for another platform.
        """
        await self._faults.reach("images.resolve")
        bundle = self._bundles.get(reference.partition(":")[2])
        if bundle is None:
            raise ImageNotFound(reference, "no image of this name was added")
        if not platform.accepts(bundle.platform):
            raise PlatformMissing(reference, str(platform), (str(bundle.platform),))
        return bundle


def _blob(text: str) -> LayerBlob:
    data = f"blob {text}".encode()
    return LayerBlob(Path("/nonexistent") / text, Digest.of(data), len(data), "application/vnd.oci.image.layer.v1.tar")
