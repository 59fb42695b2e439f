"""A pod store that is a directory of the host, shared by many pods."""

from .remains import DirectoryLeftovers
from .store import DirectoryPodStore
from .templates import DirectoryTemplates

__all__ = ["DirectoryLeftovers", "DirectoryPodStore", "DirectoryTemplates"]
