"""Writes OCI image layouts, right and wrong, for tests of those who read them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from firkin.domain.digest import Digest
from firkin.domain.image import Platform

Json = dict[str, object]

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
REF_NAME = "org.opencontainers.image.ref.name"


class LayoutWriter:
    """Writes one layout; every document and descriptor is a plain dictionary that a test may change."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.blobs = directory / "blobs" / "sha256"
        self.blobs.mkdir(parents=True)
        (directory / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        self.index()

    def reference(self, tag: str | None = None) -> str:
        """The reference of an image of this layout."""
        return f"oci:{self.directory}" if tag is None else f"oci:{self.directory}:{tag}"

    def blob(self, data: bytes, media_type: str) -> Json:
        """Write a blob and return its descriptor."""
        digest = Digest.of(data)
        (self.blobs / digest.hex).write_bytes(data)
        return {"mediaType": media_type, "digest": str(digest), "size": len(data)}

    def document(self, value: object, media_type: str) -> Json:
        """Write a JSON blob and return its descriptor."""
        return self.blob(json.dumps(value).encode(), media_type)

    def config(
        self, layers: Iterable[str] = ("base",), platform: Platform | None = None, process: Json | None = None
    ) -> Json:
        """A config document for layers of these bytes; it is not written."""
        where = platform or Platform.current()
        document: Json = {
            "architecture": where.architecture,
            "os": where.os,
            "config": process or {},
            "rootfs": {"type": "layers", "diff_ids": [str(Digest.of(layer.encode())) for layer in layers]},
        }
        if where.variant:
            document["variant"] = where.variant
        return document

    def manifest(
        self,
        config: Json | None = None,
        layers: Iterable[str] = ("base",),
        *,
        layer_type: str = LAYER,
        config_type: str = CONFIG,
    ) -> Json:
        """A manifest document; its config and layers are written, itself is not."""
        texts = tuple(layers)
        return {
            "schemaVersion": 2,
            "config": self.document(config or self.config(texts), config_type),
            "layers": [self.blob(text.encode(), layer_type) for text in texts],
        }

    def image(self, tag: str | None = None, manifest: Json | None = None, platform: Platform | None = None) -> Json:
        """Write a manifest, and return the descriptor that an index has of it."""
        descriptor = self.document(manifest or self.manifest(), MANIFEST)
        return described(descriptor, tag, platform)

    def index(self, *descriptors: Json) -> None:
        """Write `index.json`."""
        value = {"schemaVersion": 2, "mediaType": INDEX, "manifests": list(descriptors)}
        (self.directory / "index.json").write_text(json.dumps(value))

    def nested(self, *descriptors: Json, tag: str | None = None, media_type: str = INDEX) -> Json:
        """Write an index as a blob."""
        value = {"schemaVersion": 2, "mediaType": media_type, "manifests": list(descriptors)}
        return described(self.document(value, media_type), tag, None)


def described(descriptor: Json, tag: str | None, platform: Platform | None) -> Json:
    """A descriptor with the tag and the platform that an index states."""
    described = dict(descriptor)
    if tag is not None:
        described["annotations"] = {REF_NAME: tag}
    if platform is not None:
        described["platform"] = {"architecture": platform.architecture, "os": platform.os, "variant": platform.variant}
    return described
