"""Who uses a directory store: advisory locks, which the kernel drops when their holder dies (flock(2))."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from firkin.domain.errors import PodExists, StoreInUse
from firkin.domain.ids import PodId

_POLL_SECONDS = 0.002


class StoreLock:
    """A share in a store, held by every pod that uses it."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @contextmanager
    def held_alone(self) -> Iterator[bool]:
        """Hold the store alone for a moment, if nobody else holds it; keep it short, others wait meanwhile."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            alone = False
        else:
            alone = True
        try:
            yield alone
        finally:
            # An attempt to upgrade may have lost the share (flock(2): conversion is not atomic).
            fcntl.flock(self._descriptor, fcntl.LOCK_SH)


@asynccontextmanager
async def shared_store(store: Path, timeout_seconds: float) -> AsyncIterator[StoreLock]:
    """Take a share in the store, waiting while somebody tidies it up.

    Raises:
        StoreInUse: somebody holds it alone for longer than the timeout.
    """
    descriptor = os.open(store, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for _ in range(int(timeout_seconds / _POLL_SECONDS)):
            if _try_lock(descriptor, fcntl.LOCK_SH):
                break
            await asyncio.sleep(_POLL_SECONDS)
        else:
            raise StoreInUse(str(store))
        yield StoreLock(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def pod_lock(locks: Path, pod_id: PodId) -> Iterator[None]:
    """Hold a pod's id on this store.

    Raises:
        PodExists: another pod of this id runs on the store.
    """
    descriptor = locked_file(locks / pod_id)
    if descriptor is None:
        raise PodExists(pod_id)
    try:
        yield
    finally:
        (locks / pod_id).unlink(missing_ok=True)
        os.close(descriptor)


def locked_file(path: Path) -> int | None:
    """Make `path` and hold it; None when somebody else holds it.

    A holder removes the file before it lets go of it, so what was locked must still be what the path names.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        locked = _try_lock(descriptor, fcntl.LOCK_EX)
        if locked and _is_at(descriptor, path):
            return descriptor
        os.close(descriptor)
        if not locked:
            return None


def _try_lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False
