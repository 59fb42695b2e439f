"""Images that are missing, broken or hostile."""

from __future__ import annotations

from errno import EBADMSG, ENOENT, ENOSPC, EOPNOTSUPP

from .base import FirkinError


class ImageError(FirkinError):
    """An image that cannot be used."""

    code = "image"
    errno = EBADMSG


class ImageNotFound(ImageError):
    """There is no image at this place."""

    code = "image-not-found"
    errno = ENOENT

    def __init__(self, reference: str, reason: str) -> None:
        super().__init__(f"image {reference!r} was not found: {reason}")
        self.reference = reference
        self.reason = reason


class TagNotFound(ImageError):
    """The image directory has no such tag."""

    code = "tag-not-found"
    errno = ENOENT

    def __init__(self, reference: str, tag: str | None, available: tuple[str, ...]) -> None:
        have = ", ".join(available) if available else "none"
        wanted = f"has no tag {tag!r}" if tag is not None else "has several images, so it needs a tag"
        super().__init__(f"image {reference!r} {wanted}; tags there: {have}")
        self.reference = reference
        self.tag = tag
        self.available = available


class PlatformMissing(ImageError):
    """The image exists, but not for the platform that was asked for."""

    code = "platform-missing"
    errno = ENOENT

    def __init__(self, reference: str, wanted: str, available: tuple[str, ...]) -> None:
        have = ", ".join(available) if available else "none"
        super().__init__(f"image {reference!r} does not exist for {wanted}; it exists for: {have}")
        self.reference = reference
        self.wanted = wanted
        self.available = available


class ImageInvalid(ImageError):
    """A manifest, index or config that breaks the OCI image specification."""

    code = "image-invalid"

    def __init__(self, reference: str, reason: str) -> None:
        super().__init__(f"image {reference!r} is invalid: {reason}")
        self.reference = reference
        self.reason = reason


class BlobMissing(ImageError):
    """The image names a blob that its directory does not hold."""

    code = "blob-missing"
    errno = ENOENT

    def __init__(self, reference: str, digest: str) -> None:
        super().__init__(f"image {reference!r} lacks its blob {digest}")
        self.reference = reference
        self.digest = digest


class BlobCorrupt(ImageError):
    """A blob whose bytes do not have the digest (or size) that names it."""

    code = "blob-corrupt"

    def __init__(self, expected: str, actual: str) -> None:
        super().__init__(f"blob {expected} is corrupt: its bytes have {actual}")
        self.expected = expected
        self.actual = actual


class DiffIdMismatch(ImageError):
    """A layer whose uncompressed bytes do not have the diff id that the image config states."""

    code = "diff-id-mismatch"

    def __init__(self, layer: str, expected: str, actual: str) -> None:
        super().__init__(f"layer {layer} has diff id {actual}, but the image config says {expected}")
        self.layer = layer
        self.expected = expected
        self.actual = actual


class MediaTypeUnsupported(ImageError):
    """A layer or document of a kind that firkin does not read, or whose bytes are of another kind."""

    code = "media-type-unsupported"
    errno = EOPNOTSUPP

    def __init__(self, media_type: str, reason: str) -> None:
        super().__init__(f"media type {media_type!r} cannot be used: {reason}")
        self.media_type = media_type
        self.reason = reason


class ImageSpaceMissing(ImageError):
    """No space left for a layer or an image that is to be kept."""

    code = "image-space-missing"
    retryable = True
    errno = ENOSPC

    def __init__(self, path: str) -> None:
        super().__init__(f"no space left for {path}; `firkin image prune` removes what can be made again")
        self.path = path


class LayerRefused(ImageError):
    """A layer that is not a proper archive, or that would reach outside its rootfs."""

    code = "layer-refused"

    def __init__(self, layer: str, entry: str, reason: str, *, errno: int = EBADMSG) -> None:
        at = f", entry {entry!r}" if entry else ""
        super().__init__(f"layer {layer}{at}: {reason}")
        self.layer = layer
        self.entry = entry
        self.reason = reason
        self.errno = errno
