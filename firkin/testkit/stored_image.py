"""Images whose documents and layers are files, made on the spot."""

from __future__ import annotations

import json
from pathlib import Path

from firkin.domain.digest import Digest
from firkin.domain.image import ImageBundle, ImageConfig, ImageDocuments, LayerBlob, Platform, chained_layers

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"


def stored_image(directory: Path, *layers: str) -> ImageBundle:
    """An image of layers with these bytes, with its documents, for this machine's platform."""
    directory.mkdir(parents=True, exist_ok=True)
    blobs = tuple(_blob(directory, layer.encode()) for layer in layers)
    diff_ids = tuple(blob.digest for blob in blobs)
    platform = Platform.current()
    config = _document(
        {
            "architecture": platform.architecture,
            "os": platform.os,
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        }
    )
    manifest = _document(
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": {"mediaType": _CONFIG, "digest": Digest.of(config), "size": len(config)},
            "layers": [{"mediaType": _LAYER, "digest": blob.digest, "size": blob.size_bytes} for blob in blobs],
        }
    )
    documents = ImageDocuments("", _MANIFEST, manifest, config)
    chained = chained_layers(blobs, diff_ids)
    return ImageBundle(f"testkit:{directory}", Digest.of(manifest), platform, ImageConfig(), chained, documents)


def _document(value: dict[str, object]) -> bytes:
    return json.dumps(value).encode()


def _blob(directory: Path, data: bytes) -> LayerBlob:
    digest = Digest.of(data)
    path = directory / digest.hex
    path.write_bytes(data)
    return LayerBlob(path, digest, len(data), _LAYER)
