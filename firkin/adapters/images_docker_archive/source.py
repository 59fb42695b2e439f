"""The image source for archives of `docker save`."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import msgspec

from firkin.domain.digest import Digest
from firkin.domain.errors import BlobCorrupt, DiffIdMismatch, ImageInvalid
from firkin.domain.image import (
    Compression,
    ImageBundle,
    ImageDocuments,
    LayerBlob,
    Platform,
    chained_layers,
    sniffed_compression,
)

from .archive import DockerArchive
from .archive_files import ArchiveFile
from .layer_cache import LayerCache, layers_directory
from .manifest import ChosenImage, chosen_image
from .reference import SCHEME, located

_MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
_CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
_LAYER_TYPES = {
    Compression.NONE: "application/vnd.oci.image.layer.v1.tar",
    Compression.GZIP: "application/vnd.oci.image.layer.v1.tar+gzip",
    Compression.ZSTD: "application/vnd.oci.image.layer.v1.tar+zstd",
}


class DockerArchiveImageSource:
    """Images of archives that docker, podman and skopeo write: `docker-archive:FILE[:NAME]`.

    FILE may contain colons when it exists as written, and may be gzipped. NAME may be short, as for docker; `@INDEX`
    is the image of that place in the archive. Without it, the archive must hold one image for the platform. Layers
    are copied out of the archive once, into a cache below `cache_dir`.
    """

    def __init__(self, cache_dir: Path) -> None:
        """Touch nothing yet."""
        self._cache = LayerCache(layers_directory(cache_dir))

    @property
    def scheme(self) -> str:
        """`docker-archive`."""
        return SCHEME

    async def resolve(self, reference: str, platform: Platform) -> ImageBundle:
        """Find the image that `reference` means on `platform`; see `firkin.ports.image_source`.

        Its digest is that of the OCI manifest that firkin writes for it, since the archive has none.

        Raises:
            InvalidReference: it is not `docker-archive:FILE[:NAME]`.
            DiffIdMismatch: a layer is not what the image's config says.
            PermissionMissing: the archive may not be read, or the cache not be written.
            ImageSpaceMissing: there is no space for a layer.
        """
        return await asyncio.to_thread(self._resolved, reference, platform)

    def _resolved(self, text: str, platform: Platform) -> ImageBundle:
        reference = located(text)
        with DockerArchive.opened(reference.path, text) as archive:
            chosen = chosen_image(archive, reference, platform)
            blobs = self._blobs(archive, chosen)
        manifest = _manifest(chosen, blobs)
        return ImageBundle(
            reference=text,
            digest=Digest.of(manifest),
            platform=chosen.platform,
            config=chosen.config.image_config(),
            layers=chained_layers(blobs, chosen.config.diff_ids),
            documents=ImageDocuments(
                name=next(iter(chosen.image.names), ""),
                manifest_media_type=_MANIFEST_TYPE,
                manifest=manifest,
                config=chosen.config_bytes,
                created=chosen.config.created or "",
            ),
        )

    def _blobs(self, archive: DockerArchive, chosen: ChosenImage) -> tuple[LayerBlob, ...]:
        names, diff_ids = chosen.image.layers or (), chosen.config.diff_ids
        if len(names) != len(diff_ids):
            reason = f"its manifest has {len(names)} layers, its config {len(diff_ids)} diff_ids"
            raise ImageInvalid(archive.reference, reason)
        files = [archive.file(name) for name in names]
        blobs: dict[ArchiveFile, LayerBlob] = {}
        # In the order of the archive, which a gzipped one can only be read in.
        for file, name, diff_id in sorted(zip(files, names, diff_ids, strict=True)):
            if file not in blobs:
                blobs[file] = self._blob(archive, file, name, diff_id)
        return tuple(blobs[file] for file in files)

    def _blob(self, archive: DockerArchive, file: ArchiveFile, name: str, diff_id: Digest) -> LayerBlob:
        compression = sniffed_compression(archive.head(file))
        media_type = _LAYER_TYPES[compression]
        if compression is not Compression.NONE:
            digest = _digest(archive, file)
            path = self._cache.found(digest, file.size) or self._cache.added(
                archive.chunks(file),
                file.size,
                lambda actual: None if actual == digest else BlobCorrupt(digest, actual),
            )
            return LayerBlob(path, digest, file.size, media_type)
        path = self._cache.found(diff_id, file.size) or self._cache.added(
            archive.chunks(file),
            file.size,
            lambda actual: None if actual == diff_id else DiffIdMismatch(name, diff_id, actual),
        )
        return LayerBlob(path, diff_id, file.size, media_type)


def _digest(archive: DockerArchive, file: ArchiveFile) -> Digest:
    digest = hashlib.sha256()
    for chunk in archive.chunks(file):
        digest.update(chunk)
    return Digest(f"sha256:{digest.hexdigest()}")


def _manifest(chosen: ChosenImage, blobs: tuple[LayerBlob, ...]) -> bytes:
    """The OCI manifest of the image (image-spec, manifest.md)."""
    config = {"mediaType": _CONFIG_TYPE, "digest": chosen.config_digest, "size": len(chosen.config_bytes)}
    layers = [{"mediaType": blob.media_type, "digest": blob.digest, "size": blob.size_bytes} for blob in blobs]
    document = {"schemaVersion": 2, "mediaType": _MANIFEST_TYPE, "config": config, "layers": layers}
    return msgspec.json.encode(document, enc_hook=str)
