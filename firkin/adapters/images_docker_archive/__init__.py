"""Images in the archives of `docker save` (moby, image/spec/v1.2.md "Combined Image JSON + Filesystem Changeset")."""

from .layer_cache import CachedLayers
from .source import DockerArchiveImageSource

__all__ = ["CachedLayers", "DockerArchiveImageSource"]
