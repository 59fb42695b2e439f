"""OCI images as firkin sees them (image-spec v1.1: manifest.md, config.md, layer.md)."""

from __future__ import annotations

import enum
import platform as host_platform
from collections.abc import Mapping
from pathlib import Path

import msgspec

from .digest import Digest, chain_ids
from .errors import MediaTypeUnsupported

_ARCHITECTURES = {
    "x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "riscv64": "riscv64", "ppc64le": "ppc64le",
    "s390x": "s390x", "i686": "386",
}  # fmt: skip


class Platform(msgspec.Struct, frozen=True):
    """What an image runs on (image-spec, image-index.md "platform")."""

    architecture: str
    os: str = "linux"
    variant: str = ""

    @classmethod
    def current(cls) -> Platform:
        """Linux on this machine's processor."""
        machine = host_platform.machine()
        return cls(_ARCHITECTURES.get(machine, machine))

    @classmethod
    def parse(cls, text: str) -> Platform:
        """Read `linux/amd64` or `linux/arm64/v8`."""
        os, _, rest = text.partition("/")
        architecture, _, variant = rest.partition("/")
        return cls(architecture, os, variant)

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)

    def accepts(self, offered: Platform) -> bool:
        """True when an image for `offered` runs where this platform is asked for."""
        same = (self.os, self.architecture) == (offered.os, offered.architecture)
        return same and (not self.variant or not offered.variant or self.variant == offered.variant)


class Compression(enum.StrEnum):
    """How the tar of a layer is packed."""

    NONE = "none"
    GZIP = "gzip"
    ZSTD = "zstd"


_LAYER_MEDIA_TYPES = {
    "application/vnd.oci.image.layer.v1.tar": Compression.NONE,
    "application/vnd.oci.image.layer.v1.tar+gzip": Compression.GZIP,
    "application/vnd.oci.image.layer.v1.tar+zstd": Compression.ZSTD,
    "application/vnd.oci.image.layer.nondistributable.v1.tar": Compression.NONE,
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip": Compression.GZIP,
    "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd": Compression.ZSTD,
    "application/vnd.docker.image.rootfs.diff.tar": Compression.NONE,
    "application/vnd.docker.image.rootfs.diff.tar.gzip": Compression.GZIP,
    "application/vnd.docker.image.rootfs.diff.tar.zstd": Compression.ZSTD,
}
_MAGIC = {b"\x1f\x8b": Compression.GZIP, b"\x28\xb5\x2f\xfd": Compression.ZSTD}


def layer_compression(media_type: str) -> Compression:
    """Tell a layer's compression from its media type.

    Raises:
        MediaTypeUnsupported: the media type is not that of a layer.
    """
    try:
        return _LAYER_MEDIA_TYPES[media_type]
    except KeyError:
        raise MediaTypeUnsupported(media_type, "it is not a layer that firkin can apply") from None


def sniffed_compression(head: bytes) -> Compression:
    """Tell a layer's compression from its first bytes (at least four, when it has as many)."""
    for magic, compression in _MAGIC.items():
        if head.startswith(magic):
            return compression
    # A zstd stream may open with a skippable frame (RFC 8878 section 3.1.2).
    if len(head) >= 4 and head[1:4] == b"\x2a\x4d\x18" and 0x50 <= head[0] <= 0x5F:
        return Compression.ZSTD
    return Compression.NONE


class Layer(msgspec.Struct, frozen=True):
    """One layer of an image.

    Attributes:
        path: the blob's file on the host.
        digest: of the blob as it lies there, compressed or not.
        diff_id: of the tar inside it.
        chain_id: of this layer on all layers below it.
        size_bytes: of the blob.
        media_type: as the manifest states it.
    """

    path: Path
    digest: Digest
    diff_id: Digest
    chain_id: Digest
    size_bytes: int
    media_type: str


class ImageConfig(msgspec.Struct, frozen=True):
    """What an image says about running it (image-spec, config.md "config")."""

    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    working_dir: str = ""
    user: str = ""
    stop_signal: str = ""
    labels: Mapping[str, str] = {}


class ImageDocuments(msgspec.Struct, frozen=True):
    """The documents that an image was read from, as they stand, for whoever keeps a copy of it.

    Attributes:
        name: what its source calls the image, "" when it has no name there.
        manifest: its digest is the image's.
        config: its digest is in the manifest.
        created: when it was made (RFC 3339), "" when that is unknown.
    """

    name: str
    manifest_media_type: str
    manifest: bytes
    config: bytes
    created: str = ""


class ImageBundle(msgspec.Struct, frozen=True):
    """An image that was resolved to files of the host, ready to be run.

    Attributes:
        reference: what it was asked for by.
        digest: of its manifest.
        platform: what it runs on.
        config: how it wants to be run.
        layers: lowest first; an image without layers has an empty rootfs.
        documents: what it was read from; None when its source has no such documents.
    """

    reference: str
    digest: Digest
    platform: Platform
    config: ImageConfig
    layers: tuple[Layer, ...]
    documents: ImageDocuments | None = None

    @property
    def chain_id(self) -> Digest:
        """The chain id of the whole rootfs: the key of its template."""
        return self.layers[-1].chain_id if self.layers else EMPTY_CHAIN_ID

    @property
    def diff_ids(self) -> tuple[Digest, ...]:
        """The layers' diff ids, lowest first."""
        return tuple(layer.diff_id for layer in self.layers)


EMPTY_CHAIN_ID = Digest.of(b"")


class LayerBlob(msgspec.Struct, frozen=True):
    """A layer before its place in the chain is known."""

    path: Path
    digest: Digest
    size_bytes: int
    media_type: str


def chained_layers(blobs: tuple[LayerBlob, ...], diff_ids: tuple[Digest, ...]) -> tuple[Layer, ...]:
    """Join blobs and diff ids, lowest first, to layers that know their chain ids.

    Raises:
        ValueError: there are not as many diff ids as blobs.
    """
    return tuple(
        Layer(blob.path, blob.digest, diff_id, chain_id, blob.size_bytes, blob.media_type)
        for blob, diff_id, chain_id in zip(blobs, diff_ids, chain_ids(diff_ids), strict=True)
    )
