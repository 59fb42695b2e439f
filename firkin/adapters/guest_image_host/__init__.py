"""Guest images made of the host's own files: its interpreter, its programs, and this very package."""

from .images import HostGuestImages
from .kept_images import KeptGuestImages
from .places import IMAGES

__all__ = ["IMAGES", "HostGuestImages", "KeptGuestImages"]
