"""emptyDir volumes: shared by the containers of a pod, gone with it."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import force_setattr

from .guest_path import GuestPath
from .ids import VolumeName
from .size import Size

MINIMUM_DISK_LIMIT = Size.mib(1)
MINIMUM_MEMORY_LIMIT = Size.kib(4)
MAXIMUM_LIMIT = Size.tib(8)


class EmptyDirMedium(enum.StrEnum):
    """What an emptyDir's bytes lie on."""

    DISK = "disk"
    """A directory of the pod store."""
    MEMORY = "memory"
    """A tmpfs of its own."""


class VolumeFile(msgspec.Struct, frozen=True):
    """A file that a volume holds from the beginning; `path` is relative to the volume."""

    path: str
    data: bytes
    mode: int = 0o644


class EmptyDirVolume(msgspec.Struct, frozen=True):
    """An emptyDir that a pod declares.

    Attributes:
        name: how containers refer to it.
        medium: disk or memory.
        size_limit: bytes it may hold at most, or None for no limit of its own: at least 1 MiB on disk, where it
            becomes a filesystem of its own, and 4 KiB in memory; at most 8 TiB. Who writes beyond it gets ENOSPC.
        files: what it holds from the beginning, which containers then see but cannot change.
        group_id: the group that owns it and all that is made in it; root's when None.
    """

    name: VolumeName
    medium: EmptyDirMedium = EmptyDirMedium.DISK
    size_limit: Size | None = None
    files: tuple[VolumeFile, ...] = ()
    group_id: int | None = None

    if TYPE_CHECKING:  # plain values are checked and become the field's type

        def __init__(
            self,
            name: str,
            medium: EmptyDirMedium | str = EmptyDirMedium.DISK,
            size_limit: int | None = None,
            files: tuple[VolumeFile, ...] = (),
            group_id: int | None = None,
        ) -> None: ...

    def __post_init__(self) -> None:
        force_setattr(self, "name", VolumeName(self.name))
        force_setattr(self, "medium", EmptyDirMedium(self.medium))
        if self.size_limit is not None:
            force_setattr(self, "size_limit", Size(self.size_limit))

    @property
    def minimum_limit(self) -> Size:
        """The smallest size limit that a volume of this medium can have."""
        return MINIMUM_DISK_LIMIT if self.medium is EmptyDirMedium.DISK else MINIMUM_MEMORY_LIMIT

    @classmethod
    def disk(cls, name: str, size_limit: int | None = None) -> EmptyDirVolume:
        """An emptyDir on the pod store; `size_limit` in bytes is enforced by a filesystem image of its own."""
        return cls(name, EmptyDirMedium.DISK, size_limit)

    @classmethod
    def memory(cls, name: str, size_limit: int | None = None) -> EmptyDirVolume:
        """An emptyDir in memory; `size_limit` in bytes is enforced by its tmpfs."""
        return cls(name, EmptyDirMedium.MEMORY, size_limit)

    @classmethod
    def of_files(cls, name: str, files: Iterable[VolumeFile]) -> EmptyDirVolume:
        """A volume in memory that holds files, and nothing else: containers can only read it."""
        return cls(name, EmptyDirMedium.MEMORY, files=tuple(files))

    @property
    def is_read_only(self) -> bool:
        """True for a volume that holds files from the beginning."""
        return bool(self.files)

    def holds(self, path: str) -> bool:
        """True when one of its files is at this path, or below it."""
        return any(file.path == path or file.path.startswith(f"{path}/") for file in self.files)


class EmptyDirMount(msgspec.Struct, frozen=True):
    """Where a container sees an emptyDir.

    Attributes:
        sub_path: the file or directory of the volume that it sees; "" for the whole volume. It is found when the
            container starts, without leaving the volume, whatever links lie there; a directory that is missing is
            made. Of a volume of files it has to be one of them, or a directory of theirs.
    """

    volume: VolumeName
    container_path: GuestPath
    read_only: bool = False
    sub_path: str = ""

    if TYPE_CHECKING:

        def __init__(self, volume: str, container_path: str, read_only: bool = False, sub_path: str = "") -> None: ...

    def __post_init__(self) -> None:
        force_setattr(self, "volume", VolumeName(self.volume))
        force_setattr(self, "container_path", GuestPath(self.container_path))
