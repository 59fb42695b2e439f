"""Guest images made of the host's own files: its interpreter, its programs, and this very package."""

from .images import HostGuestImages
from .kept_images import KeptGuestImages

__all__ = ["HostGuestImages", "KeptGuestImages"]
