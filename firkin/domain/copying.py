"""Copying between the host and a container: where things end up, and what a copy amounted to."""

from __future__ import annotations

import msgspec

from .errors import CopyFailed

LEFT_OUT_LIMIT = 100
"""How many sentences a report holds about what was left out."""


class CopyCount(msgspec.Struct, frozen=True):
    """What one end of a copy counted; both ends must agree.

    Attributes:
        entries: files, directories and links.
        content_bytes: of all files together.
    """

    entries: int = 0
    content_bytes: int = 0


class CopyReport(msgspec.Struct, frozen=True):
    """What a copy did.

    Attributes:
        path: what the source became, at the destination's end.
        count: what was copied.
        left_out: what was not, in sentences: sockets, devices, extended attributes that the destination refused.
    """

    path: str
    count: CopyCount
    left_out: tuple[str, ...] = ()


class Destination(msgspec.Struct, frozen=True):
    """What is at the path that a copy is to go to, with the last symlink followed.

    Attributes:
        path: as it was given.
        exists, is_directory: what is there.
    """

    path: str
    exists: bool
    is_directory: bool

    @property
    def must_be_directory(self) -> bool:
        """True when its name says so."""
        return self.path.endswith(("/", "/.")) or self.path == "."


class CopySource(msgspec.Struct, frozen=True):
    """What is copied: `path/.` means what is in a directory, without the directory itself."""

    path: str
    is_directory: bool

    @property
    def name(self) -> str:
        """The last component of the path; "" when it has none."""
        return copied_name(self.path)

    @property
    def is_contents_only(self) -> bool:
        """True when the source's own name is left behind."""
        return not self.name


def copied_name(path: str) -> str:
    """The name that a source keeps inside a destination; "" for `dir/.`, `/`, `.` and `..`."""
    name = path.rstrip("/").rpartition("/")[2]
    return "" if name in (".", "..") else name


def is_placed_inside(source: CopySource, destination: Destination) -> bool:
    """True when the source keeps its name below the destination; False when it becomes the destination.

    The rules are those of `docker cp`: a directory that exists takes the source in, and a name that is free
    becomes the source's new name.

    Raises:
        CopyFailed: the destination is a file and the source a directory, or it must be a directory and is none.
    """
    if destination.is_directory:
        return not source.is_contents_only
    if destination.exists and source.is_directory:
        raise CopyFailed(destination.path, "a directory cannot replace a file")
    if destination.must_be_directory and not source.is_directory:
        raise CopyFailed(destination.path, "it is not a directory" if destination.exists else "it does not exist")
    return False
