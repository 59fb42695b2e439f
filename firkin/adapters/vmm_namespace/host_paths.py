"""Paths of the host that a sandbox may show: allowed by the configuration, and what the pod says they are."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from firkin.domain.errors import HostPathRefused
from firkin.domain.host_paths import HostPathKind, HostPathVolume, allowing_prefix

_KINDS = {
    HostPathKind.DIRECTORY: ("a directory", stat.S_ISDIR),
    HostPathKind.DIRECTORY_OR_CREATE: ("a directory", stat.S_ISDIR),
    HostPathKind.FILE: ("a file", stat.S_ISREG),
    HostPathKind.FILE_OR_CREATE: ("a file", stat.S_ISREG),
    HostPathKind.SOCKET: ("a socket", stat.S_ISSOCK),
    HostPathKind.ANY: (
        "a file, a directory or a socket",
        lambda mode: stat.S_ISDIR(mode) or stat.S_ISREG(mode) or stat.S_ISSOCK(mode),
    ),
}


class LocatedHostPath(NamedTuple):
    """What vminitd is told: it finds `path` below `directory` once more, and there follows no link at all."""

    name: str
    kind: str
    directory: str
    path: str


def located(volume: HostPathVolume, allowed: Sequence[Path]) -> LocatedHostPath:
    """Check a path; links in it are followed as long as they lead to what is allowed.

    Raises:
        HostPathRefused: it is not allowed, leads out of what is, or is not what it is said to be.
    """
    prefix = allowing_prefix(volume.host_path, [str(path) for path in allowed])
    directory, path = os.path.realpath(prefix), os.path.realpath(volume.host_path)
    if not Path(path).is_relative_to(directory):
        raise HostPathRefused(volume.host_path, f"a link in it leads to {path}, out of what is allowed: {prefix}")
    _check_kind(volume, path)
    if not os.path.isdir(directory):
        directory = os.path.dirname(directory)
    return LocatedHostPath(volume.name, volume.kind, directory, os.path.relpath(path, directory))


def _check_kind(volume: HostPathVolume, path: str) -> None:
    wanted, is_kind = _KINDS[volume.kind]
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        if volume.kind.is_made:
            return
        raise HostPathRefused(volume.host_path, f"nothing is there, and it has to be {wanted}") from None
    except OSError as error:
        raise HostPathRefused(volume.host_path, f"it cannot be looked at: {error.strerror}") from error
    if not is_kind(mode):
        raise HostPathRefused(volume.host_path, f"it is not {wanted}")
