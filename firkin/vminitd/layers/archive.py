"""The tar archives that layers are."""

from firkin.domain.tar_archive import Entry, Limits, TarReader

__all__ = ["Entry", "Limits", "TarReader"]
