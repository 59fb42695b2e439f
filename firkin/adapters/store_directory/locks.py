"""Who uses a directory store: advisory locks, which the kernel drops when their holder dies (flock(2))."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from firkin.domain.digest import Digest
from firkin.domain.errors import InvalidDigest, InvalidId, PodExists, StoreInUse
from firkin.domain.ids import PodId

LOCKS = ".locks"
"""A file for each pod that runs on the store, with the templates that it uses."""

WAIT_SECONDS = 10.0
_POLL_SECONDS = 0.002
_TRIES = 25


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
    async with _locked_directory(store, fcntl.LOCK_SH, timeout_seconds, store) as descriptor:
        yield StoreLock(descriptor)


@asynccontextmanager
async def template_users(locks: Path, timeout_seconds: float) -> AsyncIterator[dict[Digest, str]]:
    """Which template is used by which pod; no pod begins to use another one meanwhile, so keep it short.

    Raises:
        StoreInUse: somebody else holds them for longer than the timeout.
    """
    async with _locked_directory(locks, fcntl.LOCK_EX, timeout_seconds, locks.parent):
        yield noted_templates(locks)


async def noted_template(locks: Path, pod_id: PodId, chain_id: Digest, timeout_seconds: float) -> None:
    """Note that a pod, which holds its id, uses a template.

    Raises:
        StoreInUse: somebody removes templates for longer than the timeout.
    """
    async with _locked_directory(locks, fcntl.LOCK_EX, timeout_seconds, locks.parent):
        with (locks / pod_id).open("a") as file:
            file.write(f"{chain_id}\n")


def noted_templates(locks: Path) -> dict[Digest, str]:
    """What pods have noted; files of pods that are no more are removed."""
    users: dict[Digest, str] = {}
    for path in locks.iterdir():
        try:
            with pod_lock(locks, PodId(path.name)):
                continue
        except InvalidId:
            continue
        except PodExists:
            users.update(dict.fromkeys(_noted(path), path.name))
    return users


def _noted(path: Path) -> Iterator[Digest]:
    with contextlib.suppress(FileNotFoundError):
        for line in path.read_text("ascii", "replace").splitlines():
            with contextlib.suppress(InvalidDigest):
                yield Digest(line)


@asynccontextmanager
async def _locked_directory(directory: Path, kind: int, timeout_seconds: float, store: Path) -> AsyncIterator[int]:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for _ in range(int(timeout_seconds / _POLL_SECONDS)):
            if _try_lock(descriptor, kind):
                break
            await asyncio.sleep(_POLL_SECONDS)
        else:
            raise StoreInUse(str(store))
        yield descriptor
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
        # What a crashed pod of this id has noted.
        os.ftruncate(descriptor, 0)
        yield
    finally:
        (locks / pod_id).unlink(missing_ok=True)
        os.close(descriptor)


async def take_pod_id(stack: contextlib.ExitStack, locks: Path, pod_id: PodId) -> None:
    """Hold a pod's id on this store until `stack` is left.

    Who looks which pods live takes each lock for a moment, so a lock that is taken is tried again for 50 ms.

    Raises:
        PodExists: another pod of this id runs on the store.
    """
    for _ in range(_TRIES):
        try:
            stack.enter_context(pod_lock(locks, pod_id))
        except PodExists:
            await asyncio.sleep(_POLL_SECONDS)
        else:
            return
    stack.enter_context(pod_lock(locks, pod_id))


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
