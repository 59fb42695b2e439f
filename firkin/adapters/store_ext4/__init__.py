"""A pod store that is an ext4 filesystem in a sparse file: its size is a hard limit."""

from .remains import ImageLeftovers
from .store import Ext4PodStore

__all__ = ["Ext4PodStore", "ImageLeftovers"]
