"""The image source for kept images."""

from __future__ import annotations

import asyncio
from pathlib import Path

from msgspec.structs import replace

from firkin.domain.errors import (
    BlobMissing,
    FirkinError,
    ImageInvalid,
    ImageNotFound,
    InvalidReference,
    PlatformMissing,
    TagNotFound,
)
from firkin.domain.image import ImageBundle, Platform
from firkin.domain.image_names import image_name, split_digest
from firkin.ports.image_source import ImageSource

from .index import LibraryIndex

SCHEME = "image"


class LibraryImageSource:
    """Images that `OciImageLibrary` keeps: `image:NAME[@sha256:...]`; NAME may lack its host and `:latest`.

    With a digest, the name must still mean the image of that digest.
    """

    def __init__(self, state_dir: Path, layouts: ImageSource) -> None:
        """`layouts` resolves references of the scheme `oci`."""
        self._directory = state_dir.absolute() / "images"
        self._layouts = layouts
        self._index = LibraryIndex(self._directory)

    @property
    def scheme(self) -> str:
        """`image`."""
        return SCHEME

    async def resolve(self, reference: str, platform: Platform) -> ImageBundle:
        """Find the image that `reference` means on `platform`; see `firkin.ports.image_source`.

        Raises:
            InvalidReference: it is not `image:NAME[@sha256:...]`.
        """
        scheme, _, rest = reference.partition(":")
        if scheme != SCHEME or not rest:
            raise InvalidReference(reference, "expected image:NAME or image:NAME@sha256:...")
        name, pinned = split_digest(rest, reference)
        descriptor = await asyncio.to_thread(self._index.found, image_name(name), reference)
        try:
            bundle = await self._layouts.resolve(f"oci:{self._directory}:{descriptor.tag}", platform)
        except FirkinError as error:
            raise _as_asked(error, reference) from error.__cause__
        if pinned is not None and pinned != bundle.digest:
            raise ImageNotFound(reference, f"{name} is {bundle.digest} now")
        documents = None if bundle.documents is None else replace(bundle.documents, name=descriptor.tag or "")
        return replace(bundle, reference=reference, documents=documents)


def _as_asked(error: FirkinError, reference: str) -> FirkinError:
    """The same error about the reference that the caller gave."""
    match error:
        case ImageNotFound() | ImageInvalid():
            return type(error)(reference, error.reason)
        case TagNotFound():
            return TagNotFound(reference, error.tag, error.available)
        case PlatformMissing():
            return PlatformMissing(reference, error.wanted, error.available)
        case BlobMissing():
            return BlobMissing(reference, error.digest)
        case _:
            return error
