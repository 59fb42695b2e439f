"""Where images come from."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from firkin.domain.image import ImageBundle, Platform


@runtime_checkable
class ImageSource(Protocol):
    """Resolves references of one scheme (`oci:`) to images whose layers are files of the host."""

    @property
    def scheme(self) -> str:
        """What stands before the first `:` of its references, for example `oci`."""
        ...

    async def resolve(self, reference: str, platform: Platform) -> ImageBundle:
        """Find the image and check its documents; layers are checked while they are applied.

        `reference` is whole, with its scheme.

        Raises:
            ImageNotFound, TagNotFound, PlatformMissing: there is no such image.
            BlobMissing, BlobCorrupt, ImageInvalid, MediaTypeUnsupported: it is broken.
        """
        ...
