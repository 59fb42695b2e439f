"""Whose the copied files are."""

from __future__ import annotations

from typing import NamedTuple

from firkin.domain import tar_header
from firkin.domain.tar_archive import Entry

_SET_IDS = 0o6000
_CAPABILITY = b"security.capability"


class Owner(NamedTuple):
    """A user and a group, by number."""

    uid: int
    gid: int


def owned(entry: Entry, owner: Owner | None) -> Entry:
    """The entry as it belongs to `owner`; None: as it is.

    Rights that a file has by being somebody's in particular (set-user-id, set-group-id, file capabilities) do not
    pass on to another owner, as with cp(1).
    """
    if owner is None:
        return entry
    mode = entry.mode if entry.kind == tar_header.SYMLINK else entry.mode & ~_SET_IDS
    xattrs = {name: value for name, value in entry.xattrs.items() if name != _CAPABILITY}
    return entry._replace(uid=owner.uid, gid=owner.gid, mode=mode, xattrs=xattrs)
