"""Keeps images in an OCI image layout."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

from msgspec.structs import replace

from firkin.domain.digest import Digest
from firkin.domain.errors import ImageError, ImageInvalid, ImageNotFound, InvalidArgument, UnsupportedFeature
from firkin.domain.image import ImageBundle
from firkin.domain.image_documents import (
    MANIFEST_TYPES,
    REF_NAME,
    Descriptor,
    Manifest,
    decoded,
    decoded_config,
)
from firkin.domain.image_names import image_name
from firkin.domain.reclaiming import Reclaimable, ReclaimableKind
from firkin.ports.image_library import KeptImage, RemovedImage

from .blobs import PARTIAL, Blobs
from .failures import translated
from .index import LibraryIndex


class OciImageLibrary:
    """Keeps the ports ImageLibrary and ReclaimableSpace with `<state_dir>/images`; several processes may use it.

    Blobs are written aside, checked, and renamed into place; the index is replaced when all of them are there.
    """

    def __init__(self, state_dir: Path) -> None:
        """Touch nothing yet."""
        self._directory = state_dir.absolute() / "images"
        self._blobs = Blobs(self._directory)
        self._index = LibraryIndex(self._directory)

    async def keep(self, bundle: ImageBundle, name: str) -> KeptImage:
        """Copy an image here and name it; see `firkin.ports.image_library`."""
        return await asyncio.to_thread(self._keep, bundle, image_name(name))

    async def images(self) -> tuple[KeptImage, ...]:
        """All there are, by name; one that cannot be read says so in `problem`.

        Raises:
            ImageInvalid: the index is broken.
        """
        return await asyncio.to_thread(lambda: tuple(map(self._described, self._index.descriptors())))

    async def remove(self, name: str, digest: Digest | None = None) -> RemovedImage:
        """Take a name away; see `firkin.ports.image_library`. While an image is being added, its blobs stay."""
        return await asyncio.to_thread(self._remove, name, digest)

    async def items(self) -> tuple[Reclaimable, ...]:
        """Blobs that no image refers to, and what writers that died have left."""
        return await asyncio.to_thread(lambda: tuple(self._unreferenced()))

    async def reclaim(self, item: Reclaimable) -> Reclaimable:
        """Remove one of them, if still nothing refers to it and nobody adds an image."""
        return await asyncio.to_thread(self._reclaimed, item)

    def _keep(self, bundle: ImageBundle, name: str) -> KeptImage:
        documents = bundle.documents
        if documents is None:
            raise UnsupportedFeature(
                f"keeping {bundle.reference}", "its image source hands over no manifest and no config"
            )
        manifest = decoded(documents.manifest, Manifest, "manifest", bundle.reference)
        layers = manifest.layers or ()
        if [layer.digest for layer in layers] != [layer.digest for layer in bundle.layers]:
            raise ImageInvalid(bundle.reference, "its source hands over a manifest of other layers")
        descriptor: dict[str, object] = {
            "mediaType": documents.manifest_media_type,
            "digest": bundle.digest,
            "size": len(documents.manifest),
            "annotations": {REF_NAME: name},
            "platform": _platform(bundle),
        }
        with translated(self._directory):
            self._blobs.made()
        with self._blobs.shared():
            for layer in bundle.layers:
                self._blobs.add_file(layer.path, layer.digest, layer.size_bytes, bundle.reference)
            self._blobs.add_document(documents.config, manifest.config.digest)
            self._blobs.add_document(documents.manifest, bundle.digest)
            with self._index.locked():
                self._index.put(name, descriptor)
        size_bytes = sum(layer.size for layer in layers)
        return KeptImage(name, bundle.digest, bundle.platform, len(layers), size_bytes, documents.created)

    def _described(self, descriptor: Descriptor) -> KeptImage:
        image = KeptImage(descriptor.tag or "", descriptor.digest)
        if descriptor.media_type not in MANIFEST_TYPES:
            return replace(image, problem=f"it is of type {descriptor.media_type}")
        try:
            reference = f"image:{image.name}"
            data = self._blobs.document(descriptor.digest, reference)
            manifest = decoded(data, Manifest, "manifest", reference)
            config_data = self._blobs.document(manifest.config.digest, reference)
            config = decoded_config(config_data, "config", reference)
        except ImageError as error:
            return replace(image, problem=str(error))
        layers = manifest.layers or ()
        missing = next((one.digest for one in layers if self._blobs.size(one.digest) != one.size), None)
        return replace(
            image,
            platform=config.platform(),
            layer_count=len(layers),
            size_bytes=sum(one.size for one in layers),
            created=config.created or "",
            problem=f"its layer {missing} is missing" if missing else "",
        )

    def _remove(self, name: str, digest: Digest | None) -> RemovedImage:
        self._index.found(name, f"image:{name}")
        with translated(self._directory):
            self._blobs.made()
        # Shared, lest what is written aside be taken for rubbish.
        with self._blobs.shared(), self._index.locked():
            descriptor = self._index.found(name, f"image:{name}")
            if digest not in (None, descriptor.digest):
                raise ImageNotFound(f"image:{name}@{digest}", f"{descriptor.tag} is {descriptor.digest} now")
            self._index.remove(descriptor.tag or "")
        with self._blobs.held_alone() as alone:
            freed_bytes = sum(map(self._unlinked, tuple(self._unreferenced()))) if alone else 0
        return RemovedImage(descriptor.tag or "", descriptor.digest, freed_bytes)

    def _unreferenced(self) -> Iterator[Reclaimable]:
        self._index.descriptors()  # Refuses a broken index, by which everything would seem unreferenced.
        reachable = self._blobs.reachable(self._index.data())
        for digest in self._blobs.digests():
            if digest not in reachable:
                yield from self._item(ReclaimableKind.BLOB, digest, self._blobs.path(digest))
        for path in self._blobs.partials():
            yield from self._item(ReclaimableKind.PARTIAL, path.name, path)

    def _item(self, kind: ReclaimableKind, identity: str, path: Path) -> Iterator[Reclaimable]:
        with contextlib.suppress(FileNotFoundError):
            status = path.stat()
            yield Reclaimable(kind, identity, status.st_size, status.st_mtime)

    def _reclaimed(self, item: Reclaimable) -> Reclaimable:
        with translated(self._directory), self._blobs.held_alone() as alone:
            if not alone:
                return replace(item, held="an image is being added")
            unreferenced = {(one.kind, one.identity) for one in self._unreferenced()}
            if (item.kind, item.identity) in unreferenced:
                self._unlinked(item)
            elif self._path(item).exists():
                return replace(item, held="an image refers to it")
        return item

    def _path(self, item: Reclaimable) -> Path:
        if item.kind is ReclaimableKind.BLOB:
            return self._blobs.path(Digest(item.identity))
        if item.kind is ReclaimableKind.PARTIAL and item.identity.startswith(PARTIAL) and "/" not in item.identity:
            return self._directory / item.identity
        raise InvalidArgument(f"the image directory has no {item.kind} {item.identity!r}")

    def _unlinked(self, item: Reclaimable) -> int:
        path = self._path(item)
        with translated(self._directory):
            path.unlink(missing_ok=True)
        return item.size_bytes


def _platform(bundle: ImageBundle) -> dict[str, str]:
    platform = {"architecture": bundle.platform.architecture, "os": bundle.platform.os}
    return platform | ({"variant": bundle.platform.variant} if bundle.platform.variant else {})
