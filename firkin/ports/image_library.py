"""The images that a user keeps."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import msgspec

from firkin.domain.digest import Digest
from firkin.domain.image import ImageBundle, Platform


class KeptImage(msgspec.Struct, frozen=True):
    """An image of the library.

    Attributes:
        digest: of its manifest.
        platform: what it runs on; None when it is an index of several, or cannot be read.
        layer_count, size_bytes: of its layers, as they are kept (compressed or not).
        created: RFC 3339, "" when unknown.
        problem: why it cannot be run, "" when it can.
    """

    name: str
    digest: Digest
    platform: Platform | None = None
    layer_count: int = 0
    size_bytes: int = 0
    created: str = ""
    problem: str = ""


class RemovedImage(msgspec.Struct, frozen=True):
    """What removing a name did; bytes are those of blobs that no other image refers to."""

    name: str
    digest: Digest
    freed_bytes: int


@runtime_checkable
class ImageLibrary(Protocol):
    """Keeps images by digest under names; they are run as `image:NAME`."""

    async def keep(self, bundle: ImageBundle, name: str) -> KeptImage:
        """Copy an image, checking every digest, and give it a name, which another image may have had until now.

        Raises:
            InvalidReference: that cannot be a name.
            UnsupportedFeature: the image's source hands over no documents.
            BlobMissing, BlobCorrupt: a layer is not what it should be.
            ImageSpaceMissing, PermissionMissing: it cannot be kept.
        """
        ...

    async def images(self) -> tuple[KeptImage, ...]:
        """All there are, by name."""
        ...

    async def remove(self, name: str, digest: Digest | None = None) -> RemovedImage:
        """Take a name away, and remove what no other image needs.

        Raises:
            ImageNotFound: there is no such image, or the name means another digest than the given one.
        """
        ...
