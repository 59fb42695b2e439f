"""What every maker of guest images promises; that of this machine's files is tried in tests/vm/."""

from __future__ import annotations

from firkin.adapters.memory import MemoryGuestImages

firkin_guest_images = MemoryGuestImages
