"""A pod store that is a directory of the host, shared by many pods."""

from .store import DirectoryPodStore

__all__ = ["DirectoryPodStore"]
