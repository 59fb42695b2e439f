"""The JSON documents of an image (image-spec: descriptor.md, image-index.md, manifest.md, config.md).

Absent and null are the same everywhere, because Go writes null for empty lists and maps.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from .digest import Digest
from .errors import ImageInvalid
from .image import ImageConfig, Platform
from .json_decoding import decoded_json

INDEX_TYPES = frozenset(
    ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")
)
MANIFEST_TYPES = frozenset(
    ("application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json")
)
CONFIG_TYPES = frozenset(("application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"))

REF_NAME = "org.opencontainers.image.ref.name"

Document = TypeVar("Document", bound=msgspec.Struct)


class PlatformEntry(msgspec.Struct, frozen=True):
    """The platform of an index's entry, or of a config."""

    architecture: str = ""
    os: str = ""
    variant: str | None = None

    def platform(self) -> Platform | None:
        """The platform, or None when it is not stated, also by buildx's `unknown/unknown`."""
        if {self.architecture, self.os} & {"", "unknown"}:
            return None
        return Platform(self.architecture, self.os, self.variant or "")


class Descriptor(msgspec.Struct, frozen=True, rename="camel"):
    """Points at a blob."""

    media_type: str
    digest: Digest
    size: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    platform: PlatformEntry | None = None
    annotations: dict[str, str] | None = None
    artifact_type: str | None = None

    @property
    def tag(self) -> str | None:
        """The name that the layout gives it."""
        return (self.annotations or {}).get(REF_NAME)


class LayoutMarker(msgspec.Struct, frozen=True, rename="camel"):
    """The file `oci-layout`."""

    image_layout_version: str


class Index(msgspec.Struct, frozen=True, rename="camel"):
    """A list of manifests and further indexes."""

    schema_version: int
    manifests: tuple[Descriptor, ...] | None
    media_type: str | None = None
    # What only a manifest has: a document that is both would mean different images to different readers.
    config: msgspec.Raw | UnsetType = UNSET
    layers: msgspec.Raw | UnsetType = UNSET

    @property
    def has_layers(self) -> bool:
        """True when it has what makes a manifest."""
        return not (self.config is UNSET and self.layers is UNSET)


class Manifest(msgspec.Struct, frozen=True, rename="camel"):
    """One image: its config and its layers, lowest first."""

    schema_version: int
    config: Descriptor
    layers: tuple[Descriptor, ...] | None
    media_type: str | None = None
    artifact_type: str | None = None
    manifests: msgspec.Raw | UnsetType = UNSET

    @property
    def has_manifests(self) -> bool:
        """True when it has what makes an index."""
        return self.manifests is not UNSET


class ProcessConfig(msgspec.Struct, frozen=True, rename="pascal"):
    """How the image wants to be run."""

    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    env: tuple[str, ...] | None = None
    working_dir: str | None = None
    user: str | None = None
    stop_signal: str | None = None
    labels: dict[str, str] | None = None

    def image_config(self) -> ImageConfig:
        """The same, as firkin sees it."""
        return ImageConfig(
            entrypoint=self.entrypoint or (),
            command=self.cmd or (),
            environment=self.env or (),
            working_dir=self.working_dir or "",
            user=self.user or "",
            stop_signal=self.stop_signal or "",
            labels=self.labels or {},
        )


class RootFs(msgspec.Struct, frozen=True):
    """The layers' uncompressed digests, lowest first."""

    type: str
    diff_ids: tuple[Digest, ...] | None


class Config(PlatformEntry, frozen=True, kw_only=True):
    """An image's config."""

    rootfs: RootFs
    config: ProcessConfig | None = None
    created: str | None = None

    def texts(self) -> Iterator[str]:
        """All that reaches the kernel as a string."""
        stated = self.config
        if stated is not None:
            yield from (*(stated.entrypoint or ()), *(stated.cmd or ()), *(stated.env or ()))
            yield from (stated.working_dir or "", stated.user or "", stated.stop_signal or "")

    @property
    def diff_ids(self) -> tuple[Digest, ...]:
        """The layers' uncompressed digests, lowest first."""
        return self.rootfs.diff_ids or ()

    def image_config(self) -> ImageConfig:
        """What it says about running the image."""
        return ImageConfig() if self.config is None else self.config.image_config()


def decoded_config(data: bytes, what: str, reference: str) -> Config:
    """Read a config.

    Raises:
        ImageInvalid: it is none, has a rootfs of an unknown type, or a text that the kernel cannot take.
    """
    config = decoded(data, Config, what, reference)
    if config.rootfs.type != "layers":
        raise ImageInvalid(reference, f"{what} has a rootfs of type {config.rootfs.type!r}, not 'layers'")
    for text in config.texts():
        if "\0" in text:
            raise ImageInvalid(reference, f"{what} has NUL in {text!r}")
    return config


def decoded(data: bytes, document: type[Document], what: str, reference: str) -> Document:
    """Read one document.

    Raises:
        ImageInvalid: the bytes are not JSON, or not such a document.
    """
    try:
        return decoded_json(data, document, _converted)
    except msgspec.DecodeError as error:
        raise ImageInvalid(reference, f"{what}: {error}") from error


def _converted(wanted: type[object], value: object) -> object:
    if wanted is Digest and isinstance(value, str):
        return Digest(value)
    raise TypeError(f"expected {wanted.__name__}")
