"""The images of an archive: `manifest.json`, and choosing one of them."""

from __future__ import annotations

import posixpath
import re

import msgspec

from firkin.domain.digest import Digest
from firkin.domain.errors import BlobCorrupt, ImageInvalid, ImageNotFound, PlatformMissing, TagNotFound
from firkin.domain.image import Platform
from firkin.domain.image_documents import Config, decoded_config
from firkin.domain.image_names import DockerName, shown_docker_name
from firkin.domain.json_decoding import decoded_json

from .archive import DockerArchive
from .reference import ArchiveReference

MANIFEST = "manifest.json"
_NAMED_BY_DIGEST = re.compile(r"([0-9a-f]{64})(?:\.json)?", re.ASCII)


class ArchivedImage(msgspec.Struct, frozen=True, rename="pascal"):
    """One entry of manifest.json: names of files in the archive, layers lowest first."""

    config: str
    layers: tuple[str, ...] | None
    repo_tags: tuple[str, ...] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """What the image is called, as docker shows it."""
        return tuple(shown_docker_name(tag) for tag in self.repo_tags or ())


class ChosenImage(msgspec.Struct, frozen=True):
    """An image with its config."""

    image: ArchivedImage
    config_bytes: bytes
    config: Config
    platform: Platform

    @property
    def config_digest(self) -> Digest:
        """What docker calls the image's id."""
        return Digest.of(self.config_bytes)


def chosen_image(archive: DockerArchive, reference: ArchiveReference, platform: Platform) -> ChosenImage:
    """Return the image that the reference means on `platform`.

    Raises:
        ImageNotFound, TagNotFound, PlatformMissing: there is none, or more than one.
        ImageInvalid, BlobCorrupt: a document on the way is broken.
    """
    images = _images(archive, reference)
    names = tuple(sorted({name for image in images for name in image.names}))
    if reference.name is not None:
        images = _named(images, reference.name)
        if not images:
            raise TagNotFound(reference.text, reference.name, names)
    candidates = [_read(archive, image) for image in images]
    accepted = {one.config_digest: one for one in candidates if platform.accepts(one.platform)}
    if not accepted:
        available = tuple(sorted({str(one.platform) for one in candidates}))
        raise PlatformMissing(reference.text, str(platform), available)
    exact = [one for one in accepted.values() if one.platform == platform]
    match exact or list(accepted.values()):
        case [image]:
            return image
        case several:
            if reference.name is not None:
                reason = f"{reference.name!r} is the name of {len(several)} images; choose by @INDEX"
                raise ImageInvalid(reference.text, reason)
            raise TagNotFound(reference.text, None, names or tuple(f"@{n}" for n in range(len(images))))


def _images(archive: DockerArchive, reference: ArchiveReference) -> tuple[ArchivedImage, ...]:
    if not archive.has(MANIFEST):
        reason = f"{reference.path} has no {MANIFEST}, so it is no archive of `docker save`"
        if archive.has("index.json"):
            reason += (
                f"; it looks like an OCI archive: `skopeo copy oci-archive:{reference.path} oci:DIR:TAG` unpacks it"
            )
        elif archive.has("repositories"):
            reason += " since version 1.10"
        raise ImageNotFound(reference.text, reason)
    try:
        images = decoded_json(archive.document(MANIFEST), tuple[ArchivedImage, ...])
    except msgspec.DecodeError as error:
        raise ImageInvalid(reference.text, f"{MANIFEST}: {error}") from error
    if not images:
        raise ImageNotFound(reference.text, f"{reference.path} is an archive without any image")
    return images


def _named(images: tuple[ArchivedImage, ...], name: str) -> tuple[ArchivedImage, ...]:
    if name.startswith("@") and name[1:].isascii() and name[1:].isdigit() and len(name) < 10:
        return images[int(name[1:]) :][:1]
    wanted = DockerName.parse(name)
    return tuple(image for image in images if any(wanted.means(DockerName.parse(tag)) for tag in image.repo_tags or ()))


def _read(archive: DockerArchive, image: ArchivedImage) -> ChosenImage:
    data = archive.document(image.config)
    named = _NAMED_BY_DIGEST.fullmatch(posixpath.basename(image.config))
    if named is not None and named[1] != (actual := Digest.of(data)).hex:
        raise BlobCorrupt(f"sha256:{named[1]}", actual)
    config = decoded_config(data, f"config {image.config!r}", archive.reference)
    platform = config.platform()
    if platform is None:
        raise ImageInvalid(archive.reference, f"config {image.config!r} states no platform")
    return ChosenImage(image, data, config, platform)
