"""Files of pods whose processes were killed, in the machine's shared directory store."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from firkin.domain.errors import InvalidId, PodExists
from firkin.domain.ids import PodId
from firkin.ports.leftovers import Leftover

from .discarding import DISCARDED_PREFIX, discard
from .failures import translated
from .locks import LOCKS, WAIT_SECONDS, pod_lock, shared_store
from .owned_trees import DEFAULT_SEARCH_PATH, OwnedTrees
from .store import STAGING_PREFIX

POD_KIND = "files of a pod"
STAGING_KIND = "unfinished files of a store"


class DirectoryLeftovers:
    """Keeps the port Leftovers for a directory store: whose pod's id is not locked has lost its owner."""

    def __init__(self, state_dir: Path, path: Path | None = None, search_path: str = DEFAULT_SEARCH_PATH) -> None:
        """Touch nothing yet; without a path, the store is `<state_dir>/store`."""
        self._trees = OwnedTrees(search_path)
        self._store = (path or state_dir / "store").absolute()
        self._locks = self._store / LOCKS

    async def found(self) -> tuple[Leftover, ...]:
        """Pods without an owner, and, while no pod uses the store, templates that nobody completes."""
        return await asyncio.to_thread(lambda: tuple(self._found()))

    def _found(self) -> Iterator[Leftover]:
        with translated(self._store):
            for path in sorted(_entries(self._store / "pods")):
                if not self._has_owner(path.name):
                    yield Leftover(POD_KIND, str(path))
            for path in sorted(self._unfinished()):
                yield Leftover(STAGING_KIND, str(path))

    def _has_owner(self, name: str) -> bool:
        """Look at a pod's lock by a shared one, which disturbs nobody who looks as well."""
        try:
            descriptor = os.open(self._locks / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def _unfinished(self) -> list[Path]:
        """What looks half done is so for certain while nobody shares the store."""
        try:
            descriptor = os.open(self._store, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            return []
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            staging = [one for one in _entries(self._store / "templates") if one.name.startswith(STAGING_PREFIX)]
            return staging + [one for one in _entries(self._store) if one.name.startswith(DISCARDED_PREFIX)]
        except BlockingIOError:
            return []
        finally:
            os.close(descriptor)

    async def remove(self, leftover: Leftover) -> str:
        """Remove a pod's files unless the pod lives by now, or what is unfinished unless a pod uses the store.

        Raises:
            StoreInUse: somebody holds the store for himself for too long.
        """
        path = Path(leftover.name)
        with translated(self._store):
            async with shared_store(self._store, WAIT_SECONDS) as share:
                if leftover.kind == POD_KIND:
                    discarded = self._discarded_pod(path)
                else:
                    with share.held_alone() as alone:
                        discarded = discard(self._store, [path] if alone else [], self._trees)
            if discarded is not None:
                await asyncio.to_thread(self._trees.remove, discarded)
        return ""

    def _discarded_pod(self, path: Path) -> Path | None:
        try:
            with pod_lock(self._locks, PodId(path.name)):
                return discard(self._store, [path], self._trees)
        except InvalidId:
            return discard(self._store, [path], self._trees)
        except PodExists:
            return None


def _entries(directory: Path) -> list[Path]:
    with contextlib.suppress(FileNotFoundError):
        return list(directory.iterdir())
    return []
