"""What takes the space of a store: every file is looked at, links are not followed, the time is bounded."""

from __future__ import annotations

import os
import stat
import time

from firkin.domain.guest_path import GuestPath
from firkin.domain.ids import PodId
from firkin.domain.layout import OverlayLayout, StoreLayout
from firkin.domain.statistics import StoreBreakdown, UsedSpace

from .beneath import DIRECTORY, Resolution, open_beneath
from .failures import translating

_BLOCK_BYTES = 512
_LOOK_SECONDS = 20.0
_LINKS_LIMIT = 1_000_000


def store_breakdown(pod_id: PodId, store_path: GuestPath) -> StoreBreakdown:
    """Count templates, and this pod's containers and volumes, within about 20 s.

    Raises:
        AgentError: the store cannot be read.
    """
    layout = StoreLayout(store_path)
    deadline = time.monotonic() + _LOOK_SECONDS
    containers, volumes = layout.pod(pod_id).below("containers"), layout.pod(pod_id).below("emptydir")
    with translating("count what takes the store's space", store_path):
        return StoreBreakdown(
            used_space(layout.templates, deadline),
            {name: used_space(_upper(f"{containers}/{name}"), deadline) for name in _names(containers)},
            {name: used_space(f"{volumes}/{name}", deadline) for name in _names(volumes)},
        )


def _upper(container: str) -> str:
    base = GuestPath(container)
    return OverlayLayout(base, is_limited=os.path.isdir(OverlayLayout(base).limited)).upper


def used_space(top: str, deadline: float) -> UsedSpace:
    """What is at `top` and below it on the same filesystem; a directory that goes away meanwhile counts as far."""
    try:
        root = os.open(top, DIRECTORY)
    except FileNotFoundError:
        return UsedSpace()
    try:
        return _Count(root).finished(deadline)
    finally:
        os.close(root)


class _Count:
    """Counts below an open directory."""

    def __init__(self, root: int) -> None:
        status = os.fstat(root)
        self._root = root
        self._device = status.st_dev
        self._blocks, self._inodes = status.st_blocks, 1
        self._seen: set[int] = set()
        self._waiting = ["."]

    def finished(self, deadline: float) -> UsedSpace:
        """Count to the end, or until the deadline (of the monotonic clock)."""
        while self._waiting and time.monotonic() < deadline:
            try:
                # A container may put a link in a directory's place just now.
                path = self._waiting.pop()
                directory = open_beneath(self._root, path, DIRECTORY, Resolution.NO_SYMLINKS)
            except OSError:
                continue
            try:
                self._add(directory, path)
            finally:
                os.close(directory)
        return UsedSpace(self._blocks * _BLOCK_BYTES, self._inodes, is_complete=not self._waiting)

    def _add(self, directory: int, path: str) -> None:
        with os.scandir(directory) as listing:
            for entry in listing:
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                if status.st_dev == self._device and not self._is_known(status):
                    self._blocks += status.st_blocks
                    self._inodes += 1
                    if stat.S_ISDIR(status.st_mode):
                        self._waiting.append(f"{path}/{entry.name}")

    def _is_known(self, status: os.stat_result) -> bool:
        """True for a further name of a file that was counted."""
        if status.st_nlink == 1 or stat.S_ISDIR(status.st_mode):
            return False
        if status.st_ino in self._seen:
            return True
        if len(self._seen) < _LINKS_LIMIT:
            self._seen.add(status.st_ino)
        return False


def _names(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except FileNotFoundError:
        return []
