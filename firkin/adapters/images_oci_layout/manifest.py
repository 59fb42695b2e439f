"""Reading the two documents that make an image: its manifest and its config."""

from __future__ import annotations

from firkin.domain.errors import ImageInvalid, MediaTypeUnsupported
from firkin.domain.image_documents import (
    CONFIG_TYPES,
    MANIFEST_TYPES,
    Config,
    Descriptor,
    Manifest,
    decoded,
    decoded_config,
)

from .layout import LayoutFiles


def image_manifest(files: LayoutFiles, descriptor: Descriptor) -> Manifest:
    """Read a manifest.

    Raises:
        MediaTypeUnsupported: it is something else, or the manifest of an artifact.
        ImageInvalid, BlobMissing, BlobCorrupt: it is broken.
    """
    what = f"manifest {descriptor.digest}"
    if descriptor.media_type not in MANIFEST_TYPES:
        raise MediaTypeUnsupported(descriptor.media_type, f"{descriptor.digest} is not the manifest of an image")
    manifest = decoded(files.blob(descriptor), Manifest, what, files.reference)
    if manifest.schema_version != 2:
        raise ImageInvalid(files.reference, f"{what} has schemaVersion {manifest.schema_version}, not 2")
    if manifest.media_type not in (None, "", descriptor.media_type):
        reason = f"{what} is {manifest.media_type!r} by itself, but {descriptor.media_type!r} by its index"
        raise ImageInvalid(files.reference, reason)
    if manifest.has_manifests:
        raise ImageInvalid(files.reference, f"{what} is an index as well")
    if manifest.config.media_type not in CONFIG_TYPES:
        kind = manifest.artifact_type or manifest.config.media_type
        raise MediaTypeUnsupported(kind, f"{descriptor.digest} is an artifact, not a container image")
    return manifest


def image_config(files: LayoutFiles, manifest: Manifest) -> Config:
    """Read the config of a manifest.

    Raises:
        ImageInvalid, BlobMissing, BlobCorrupt: it is broken.
    """
    return decoded_config(files.blob(manifest.config), f"config {manifest.config.digest}", files.reference)
