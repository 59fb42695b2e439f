"""A user's images in one OCI image layout (image-spec, image-layout.md), as skopeo and umoci read it."""

from .library import OciImageLibrary
from .source import LibraryImageSource

__all__ = ["LibraryImageSource", "OciImageLibrary"]
