"""Choosing one image among those of a layout."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from firkin.domain.digest import Digest
from firkin.domain.errors import ImageInvalid, ImageNotFound, MediaTypeUnsupported, PlatformMissing, TagNotFound
from firkin.domain.image import Platform
from firkin.domain.image_documents import INDEX_TYPES, Descriptor, Index, decoded

from .layout import LayoutFiles
from .manifest import image_config, image_manifest
from .reference import LayoutReference

_INDEX_MAX_DEPTH = 8


class Candidate(msgspec.Struct, frozen=True):
    """A manifest for one platform."""

    descriptor: Descriptor
    platform: Platform


class Choice:
    """What the descriptors that share a tag offer."""

    def __init__(self, candidates: Iterable[Candidate | MediaTypeUnsupported]) -> None:
        found = tuple(candidates)
        self.candidates = tuple(one for one in found if isinstance(one, Candidate))
        self.refusals = tuple(one for one in found if isinstance(one, MediaTypeUnsupported))

    def best(self, platform: Platform) -> Candidate | None:
        """The manifest for exactly `platform`, else the first that it accepts (image-index.md "platform")."""
        accepted = [one for one in self.candidates if platform.accepts(one.platform)]
        exact = (one for one in accepted if one.platform == platform)
        return next(exact, accepted[0] if accepted else None)


def chosen_manifest(files: LayoutFiles, index: Index, reference: LayoutReference, platform: Platform) -> Candidate:
    """Return the manifest that the reference means on `platform`.

    Raises:
        ImageNotFound, TagNotFound, PlatformMissing: there is none, or more than one.
        ImageInvalid, BlobMissing, BlobCorrupt, MediaTypeUnsupported: a document on the way is broken.
    """
    roots = index.manifests or ()
    if not roots:
        raise ImageNotFound(reference.text, f"{reference.directory} is an OCI layout without any image")
    tags = tuple(sorted({root.tag for root in roots if root.tag is not None}))
    if reference.tag is not None:
        roots = tuple(root for root in roots if root.tag == reference.tag)
    groups: dict[str, list[Descriptor]] = {}
    for root in roots:
        groups.setdefault(root.digest if root.tag is None else f"tag {root.tag}", []).append(root)
    choices = [Choice(_candidates(files, group)) for group in groups.values()]
    images = {best.descriptor.digest: best for choice in choices if (best := choice.best(platform)) is not None}
    match list(images.values()):
        case [image]:
            return image
        case []:
            raise _absence(choices, reference, platform, tags)
        case _:
            raise TagNotFound(reference.text, None, tags)


def _absence(
    choices: list[Choice], reference: LayoutReference, platform: Platform, tags: tuple[str, ...]
) -> TagNotFound | MediaTypeUnsupported | PlatformMissing:
    if not choices:
        return TagNotFound(reference.text, reference.tag, tags)
    platforms = sorted({str(one.platform) for choice in choices for one in choice.candidates})
    refusals = [refusal for choice in choices for refusal in choice.refusals]
    if refusals and not platforms:
        return refusals[0]
    return PlatformMissing(reference.text, str(platform), tuple(platforms))


def _candidates(files: LayoutFiles, roots: Iterable[Descriptor]) -> Iterator[Candidate | MediaTypeUnsupported]:
    """All manifests below `roots`, in order; what is no image is yielded as the error that says so."""
    seen: set[Digest] = set()
    waiting = [(root, 1) for root in reversed(tuple(roots))]
    while waiting:
        descriptor, depth = waiting.pop()
        if descriptor.media_type in INDEX_TYPES:
            if descriptor.digest in seen:
                continue
            seen.add(descriptor.digest)
            if depth > _INDEX_MAX_DEPTH:
                raise ImageInvalid(files.reference, f"its indexes are nested more than {_INDEX_MAX_DEPTH} deep")
            waiting.extend((one, depth + 1) for one in reversed(_nested(files, descriptor)))
        elif (offered := _offered(files, descriptor)) is not None:
            yield offered


def _nested(files: LayoutFiles, descriptor: Descriptor) -> tuple[Descriptor, ...]:
    what = f"index {descriptor.digest}"
    index = decoded(files.blob(descriptor), Index, what, files.reference)
    if index.media_type not in (None, "", descriptor.media_type):
        reason = f"{what} is {index.media_type!r} by itself, but {descriptor.media_type!r} by its index"
        raise ImageInvalid(files.reference, reason)
    return checked_index(index, what, files.reference).manifests or ()


def checked_index(index: Index, what: str, reference: str) -> Index:
    """Return `index` when it is one of version 2 and nothing else.

    Raises:
        ImageInvalid: it is not.
    """
    if index.schema_version != 2:
        raise ImageInvalid(reference, f"{what} has schemaVersion {index.schema_version}, not 2")
    if index.has_layers:
        raise ImageInvalid(reference, f"{what} is a manifest as well")
    return index


def _offered(files: LayoutFiles, descriptor: Descriptor) -> Candidate | MediaTypeUnsupported | None:
    if descriptor.platform is not None:
        stated = descriptor.platform.platform()
        if stated is not None:
            return Candidate(descriptor, stated)
        if descriptor.platform.os == "unknown":  # buildx's attestations
            return None
    try:
        config = image_config(files, image_manifest(files, descriptor))
    except MediaTypeUnsupported as error:
        return error
    platform = config.platform()
    if platform is None:
        raise ImageInvalid(files.reference, f"neither index nor config of {descriptor.digest} states a platform")
    return Candidate(descriptor, platform)
