"""What an agent would ignore without a word is refused before it is asked."""

from __future__ import annotations

from collections.abc import Iterable

from firkin.domain.errors import Outcome, UnsupportedFeature
from firkin.domain.volumes import EmptyDirMedium, EmptyDirVolume


def refuse_groups(volumes: Iterable[EmptyDirVolume], reason: str) -> None:
    """Refuse emptyDirs that belong to a group.

    Raises:
        UnsupportedFeature: there is one.
    """
    for volume in volumes:
        if volume.group_id is not None:
            refused = UnsupportedFeature(f"the group of emptyDir {volume.name!r}", reason)
            raise refused.during("prepare pod", outcome=Outcome.DID_NOT)


def refuse_disk_limits(volumes: Iterable[EmptyDirVolume], reason: str) -> None:
    """Refuse emptyDirs on disk that have a size limit.

    Raises:
        UnsupportedFeature: there is one.
    """
    for volume in volumes:
        if volume.medium is EmptyDirMedium.DISK and volume.size_limit is not None:
            refused = UnsupportedFeature(f"the size limit of emptyDir {volume.name!r} on disk", reason)
            raise refused.during("prepare pod", outcome=Outcome.DID_NOT)
