"""Images that lie in a directory as an OCI image layout (image-spec, image-layout.md)."""

from .source import OciLayoutImageSource

__all__ = ["OciLayoutImageSource"]
