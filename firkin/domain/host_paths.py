"""Files and directories of the host that containers are shown: hostPath volumes."""

from __future__ import annotations

import enum
import os.path
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import force_setattr

from .errors import HostPathRefused
from .ids import VolumeName

HOST_PATHS = "host paths"
"""The promise of a kind of sandbox to show paths of the host."""


class HostPathKind(enum.StrEnum):
    """What has to be at a path of the host, by Kubernetes' names."""

    ANY = ""
    """A file, a directory or a socket that exists."""
    DIRECTORY = "Directory"
    DIRECTORY_OR_CREATE = "DirectoryOrCreate"
    """A directory; it is made, with those above it, when nothing is there (mode 0755, root's)."""
    FILE = "File"
    FILE_OR_CREATE = "FileOrCreate"
    """A file; an empty one is made when nothing is there (mode 0644, root's), in a directory that exists."""
    SOCKET = "Socket"

    @property
    def is_made(self) -> bool:
        """Whether what is missing is made."""
        return self in (HostPathKind.DIRECTORY_OR_CREATE, HostPathKind.FILE_OR_CREATE)


class HostPathVolume(msgspec.Struct, frozen=True):
    """A path of the host that a pod declares as a volume; the runtime's configuration has to allow it.

    Attributes:
        name: how containers refer to it.
        host_path: absolute and normalised.
        kind: what has to be there.
    """

    name: VolumeName
    host_path: str
    kind: HostPathKind = HostPathKind.ANY

    if TYPE_CHECKING:

        def __init__(self, name: str, host_path: str, kind: HostPathKind | str = HostPathKind.ANY) -> None: ...

    def __post_init__(self) -> None:
        force_setattr(self, "name", VolumeName(self.name))
        force_setattr(self, "kind", HostPathKind(self.kind))


def host_path_problems(volume: HostPathVolume) -> Iterator[str]:
    """Yield what is wrong with its path."""
    path = volume.host_path
    if not path.startswith("/") or path.startswith("//"):
        yield f"host path {path!r} is not absolute"
    elif os.path.normpath(path) != path:
        yield f"host path {path!r} is not normalised: write {os.path.normpath(path)!r}"
    elif "\0" in path:
        yield "the host path contains NUL"


def allowing_prefix(path: str, prefixes: Iterable[str]) -> str:
    """The longest of the prefixes that the path is, or lies below, by its components.

    Raises:
        HostPathRefused: there is none.
    """
    allowing = [prefix for prefix in prefixes if PurePosixPath(path).is_relative_to(prefix)]
    if not allowing:
        raise HostPathRefused(path, f"it is not allowed: allow it, or a directory above it, by {_flag(path)}")
    return max(allowing, key=len)


def _flag(path: str) -> str:
    return f"--allow-host-path {path} (in a configuration, allow_host_paths)"
