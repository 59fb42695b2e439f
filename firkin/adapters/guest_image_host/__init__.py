"""Guest images made of the host's own files: its interpreter, its programs, and this very package."""

from .images import HostGuestImages

__all__ = ["HostGuestImages"]
