"""The directories of the registry: one for each pod, and those that are being made or removed."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from pathlib import Path

PODS = "pods"
"""Below the state directory."""

_NEW_PREFIX = ".new-"
_REMOVED_PREFIX = ".removed-"


def pod_directories(pods: Path) -> list[Path]:
    """The directories of pods that have a name."""
    return [pods / name for name in _names(pods) if not name.startswith(".")]


def half_done_directories(pods: Path) -> list[Path]:
    """Those that are being made or removed, by somebody or by nobody any more."""
    return [pods / name for name in _names(pods) if name.startswith((_NEW_PREFIX, _REMOVED_PREFIX))]


def _names(pods: Path) -> list[str]:
    try:
        return sorted(os.listdir(pods))
    except FileNotFoundError:
        return []


def new_directory(pods: Path) -> Path:
    """Make one that has no name yet."""
    path = pods / f"{_NEW_PREFIX}{secrets.token_hex(8)}"
    path.mkdir(mode=0o700)
    return path


def discard(path: Path) -> None:
    """Remove a pod's directory: it is gone from the registry at once, whatever becomes of its files."""
    removed = path.with_name(f"{_REMOVED_PREFIX}{secrets.token_hex(8)}")
    with contextlib.suppress(FileNotFoundError):
        os.rename(path, removed)
    shutil.rmtree(removed, ignore_errors=True)
