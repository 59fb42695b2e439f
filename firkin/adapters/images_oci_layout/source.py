"""The image source for OCI image layouts."""

from __future__ import annotations

import asyncio

from firkin.domain.errors import ImageInvalid, ImageNotFound
from firkin.domain.image import (
    ImageBundle,
    ImageDocuments,
    Layer,
    LayerBlob,
    Platform,
    chained_layers,
    layer_compression,
)
from firkin.domain.image_documents import Config, Index, LayoutMarker, Manifest, decoded

from .layout import LayoutFiles
from .manifest import image_config, image_manifest
from .reference import SCHEME, LayoutReference, located
from .selection import Candidate, checked_index, chosen_manifest

_LAYOUT_VERSION = "1.0.0"


class OciLayoutImageSource:
    """Images of directories that umoci, skopeo, buildah and buildx write: `oci:DIR[:TAG]`.

    DIR may contain colons when it exists as written. Without a tag, the layout must hold one image for the
    platform. Documents are checked against their digests here; layers are checked while they are applied.
    """

    @property
    def scheme(self) -> str:
        """`oci`."""
        return SCHEME

    async def resolve(self, reference: str, platform: Platform) -> ImageBundle:
        """Find the image that `reference` means on `platform`; see `firkin.ports.image_source`.

        Raises:
            InvalidReference: it is not `oci:DIR[:TAG]`.
            PermissionMissing: the files may not be read.
        """
        return await asyncio.to_thread(_resolved, reference, platform)


def _resolved(text: str, platform: Platform) -> ImageBundle:
    reference = located(text)
    with LayoutFiles.opened(reference.directory, text) as files:
        index = _top_index(files, reference)
        chosen = chosen_manifest(files, index, reference, platform)
        manifest = image_manifest(files, chosen.descriptor)
        config = image_config(files, manifest)
        _check_platform(chosen, config, text)
        return ImageBundle(
            reference=text,
            digest=chosen.descriptor.digest,
            platform=chosen.platform,
            config=config.image_config(),
            layers=_layers(files, manifest, config),
            documents=ImageDocuments(
                name=f"{reference.directory.name}:{reference.tag}" if reference.tag else reference.directory.name,
                manifest_media_type=chosen.descriptor.media_type,
                manifest=files.blob(chosen.descriptor),
                config=files.blob(manifest.config),
                created=config.created or "",
            ),
        )


def _top_index(files: LayoutFiles, reference: LayoutReference) -> Index:
    try:
        marker = decoded(files.document("oci-layout"), LayoutMarker, "oci-layout", reference.text)
        data = files.document("index.json")
    except FileNotFoundError as error:
        raise ImageNotFound(reference.text, _no_layout(reference, error.filename)) from error
    if marker.image_layout_version != _LAYOUT_VERSION:
        reason = f"its layout has version {marker.image_layout_version!r}; firkin reads {_LAYOUT_VERSION}"
        raise ImageInvalid(reference.text, reason)
    index = decoded(data, Index, "index.json", reference.text)
    return checked_index(index, "index.json", reference.text)


def _no_layout(reference: LayoutReference, missing: str) -> str:
    directory = reference.directory
    reason = f"{directory} is not an OCI image layout: it has no file {missing}"
    if (directory / "manifest.json").exists():
        reason += "; its manifest.json looks like an unpacked archive of `docker save`, or a skopeo `dir:` image"
    elif (directory / "blobs").exists():
        reason += "; its blobs look like a layout that was copied in part"
    return reason


def _check_platform(chosen: Candidate, config: Config, reference: str) -> None:
    stated = config.platform()
    if stated is None or (stated.os, stated.architecture) != (chosen.platform.os, chosen.platform.architecture):
        reason = f"its index says {chosen.platform}, its config {stated or 'nothing'}"
        raise ImageInvalid(reference, reason)


def _layers(files: LayoutFiles, manifest: Manifest, config: Config) -> tuple[Layer, ...]:
    descriptors = manifest.layers or ()
    diff_ids = config.diff_ids
    if len(descriptors) != len(diff_ids):
        reason = f"its manifest has {len(descriptors)} layers, its config {len(diff_ids)} diff_ids"
        raise ImageInvalid(files.reference, reason)
    for descriptor in descriptors:
        layer_compression(descriptor.media_type)
    blobs = tuple(LayerBlob(files.layer_path(one), one.digest, one.size, one.media_type) for one in descriptors)
    return chained_layers(blobs, diff_ids)
