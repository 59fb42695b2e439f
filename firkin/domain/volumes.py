"""emptyDir volumes: shared by the containers of a pod, gone with it."""

from __future__ import annotations

import enum

import msgspec

from .guest_path import GuestPath
from .ids import VolumeName
from .size import Size


class EmptyDirMedium(enum.StrEnum):
    """What an emptyDir's bytes lie on."""

    DISK = "disk"
    """A directory of the pod store."""
    MEMORY = "memory"
    """A tmpfs of its own."""


class EmptyDirVolume(msgspec.Struct, frozen=True):
    """An emptyDir that a pod declares.

    Attributes:
        name: how containers refer to it.
        medium: disk or memory.
        size_limit: bytes it may hold at most, or None for no limit of its own.
    """

    name: VolumeName
    medium: EmptyDirMedium
    size_limit: Size | None = None

    @classmethod
    def disk(cls, name: str, size_limit: int | None = None) -> EmptyDirVolume:
        """An emptyDir on the pod store; `size_limit` in bytes."""
        return cls(VolumeName(name), EmptyDirMedium.DISK, None if size_limit is None else Size(size_limit))

    @classmethod
    def memory(cls, name: str, size_limit: int | None = None) -> EmptyDirVolume:
        """An emptyDir in memory; `size_limit` in bytes is enforced by its tmpfs."""
        return cls(VolumeName(name), EmptyDirMedium.MEMORY, None if size_limit is None else Size(size_limit))


class EmptyDirMount(msgspec.Struct, frozen=True):
    """Where a container sees an emptyDir."""

    volume: VolumeName
    container_path: GuestPath
    read_only: bool = False
