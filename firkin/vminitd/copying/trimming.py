"""Trimming the filesystem of a container's path."""

from __future__ import annotations

import errno
import os

from firkin.domain.errors import AgentError
from firkin.domain.layout import POD_STORE_MOUNT

from ..filesystem import mounts, store
from ..filesystem.beneath import Resolution, open_beneath, refusing
from ..filesystem.failures import translating
from .view import Init, opened_view


def trim_in_container(root: str, path: str, init: Init | None) -> int:
    """Give unused blocks of the filesystem back on which a container's `path` lies; returns the bytes trimmed.

    Only filesystems of the pod store are trimmed. What else a container sees, an overlay or memory, has no blocks of
    its own, or is somebody else's: 0 bytes.

    Raises:
        PathRefused: it leads through /proc's links, or too many symlinks.
        AgentError: there is no such path, or the kernel refused.
    """
    with translating("trim", path), refusing(path), opened_view(root, init) as view:
        try:
            found = open_beneath(view, path.strip("/") or ".", os.O_PATH, Resolution.IN_ROOT)
        except FileNotFoundError:
            raise AgentError("trim", "it does not exist", path=path, errno=errno.ENOENT) from None
        try:
            device = os.fstat(found).st_dev
        finally:
            os.close(found)
        for point in (str(POD_STORE_MOUNT), *mounts.mounts_below(POD_STORE_MOUNT)):
            if os.path.exists(point) and os.stat(point).st_dev == device and not mounts.shows_subdirectory(point):
                return store.trim(point)
    return 0
