"""Opens directory stores."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ParamSpec

from firkin.application.task_scope import TaskScope, finished
from firkin.domain.digest import Digest
from firkin.domain.errors import InvalidId, MissingTool, PermissionMissing, PodExists, StoreError
from firkin.domain.ids import PodId
from firkin.domain.store_spec import PodStoreSpec
from firkin.ports.store import StoreMedium

from .discarding import DISCARDED_PREFIX, discard
from .failures import translated
from .locks import LOCKS, WAIT_SECONDS, StoreLock, noted_template, pod_lock, shared_store, take_pod_id
from .owned_trees import DEFAULT_SEARCH_PATH, OwnedTrees
from .template_ids import discard_foreign_templates

STAGING_PREFIX = ".staging-"
_Arguments = ParamSpec("_Arguments")


class DirectoryPodStore:
    """Keeps the port PodStore with a directory: templates are shared by every pod on it, and stay."""

    def __init__(self, state_dir: Path, search_path: str = DEFAULT_SEARCH_PATH) -> None:
        """Touch nothing yet; a spec without a path means `<state_dir>/store`."""
        self._default = state_dir.absolute() / "store"
        self._trees = OwnedTrees(search_path)

    @asynccontextmanager
    async def opened(self, spec: PodStoreSpec, pod_id: PodId) -> AsyncIterator[StoreMedium]:
        """Hold this pod's id on the store, and remove the pod's directory from it at the end.

        On the way in, what crashed owners left is removed: their pods, and templates that nobody completes any more.

        Raises:
            PodExists: a pod of this id runs on the store.
            StoreInUse: somebody has been tidying the store up for ten seconds.
            ConfigurationError: the path is not a directory.
            PermissionMissing, StoreFull: the store cannot be written to.
        """
        store = (spec.path or self._default).absolute()
        with translated(store):
            locks = _made(store)
        with contextlib.ExitStack() as stack:
            async with shared_store(store, WAIT_SECONDS) as share:
                with translated(store):
                    await take_pod_id(stack, locks, pod_id)
                    await discard_foreign_templates(store, share, self._trees)
                    await _whole(_tidy_up, store, locks, pod_id, share, self._trees)
                status = store.stat()
                try:
                    yield StoreMedium(store, "", f"directory:{status.st_dev}:{status.st_ino}")
                finally:
                    await _whole(_remove_pod, store, pod_id, self._trees)

    async def hold_template(self, medium: StoreMedium, pod_id: PodId, chain_id: Digest) -> None:
        """Keep a template from being removed as long as the pod runs; see `firkin.ports.store`.

        Raises:
            StoreInUse: somebody has been removing templates for ten seconds.
            PermissionMissing, StoreFull: the store cannot be written to.
        """
        with translated(medium.path):
            await noted_template(medium.path / LOCKS, pod_id, chain_id, WAIT_SECONDS)
            with contextlib.suppress(FileNotFoundError):
                os.utime(medium.path / "templates" / f"sha256-{chain_id.hex}")


def _made(store: Path) -> Path:
    """Make the store, and the directory for its locks, which no pod id can collide with."""
    store.mkdir(mode=0o700, parents=True, exist_ok=True)
    locks = store / LOCKS
    locks.mkdir(mode=0o700, exist_ok=True)
    return locks


async def _whole(work: Callable[_Arguments, None], *arguments: _Arguments.args, **named: _Arguments.kwargs) -> None:
    """Run blocking work in a thread, to its end even when the caller is cancelled."""
    await finished(TaskScope().start(asyncio.to_thread(work, *arguments, **named), "tidy the pod store up"))


def _tidy_up(store: Path, locks: Path, pod_id: PodId, share: StoreLock, trees: OwnedTrees) -> None:
    _remove(store, [store / "pods" / pod_id], trees)
    for path in _entries(store / "pods"):
        _remove_if_orphaned(store, path, locks, trees)
    with share.held_alone() as alone:
        # Nobody builds a template and nobody removes anything now: what looks half done is abandoned.
        abandoned = [*_named(store / "templates", STAGING_PREFIX), *_named(store, DISCARDED_PREFIX)] if alone else []
        discarded = discard(store, abandoned, trees)
    if discarded is not None:
        # What has an owner whose id is not the caller's any more stays; it is in nobody's way.
        with contextlib.suppress(OSError, PermissionMissing, MissingTool):
            trees.remove(discarded)


def _remove_if_orphaned(store: Path, pod: Path, locks: Path, trees: OwnedTrees) -> None:
    try:
        with pod_lock(locks, PodId(pod.name)):
            _remove(store, [pod], trees)
    except (PodExists, InvalidId):
        return


def _remove_pod(store: Path, pod_id: PodId, trees: OwnedTrees) -> None:
    try:
        _remove(store, [store / "pods" / pod_id], trees)
    except OSError as error:
        raise StoreError(f"pod store {store}: cannot remove {error.filename}: {error.strerror}") from error


def _remove(store: Path, victims: list[Path], trees: OwnedTrees) -> None:
    discarded = discard(store, victims, trees)
    if discarded is not None:
        trees.remove(discarded)


def _named(directory: Path, prefix: str) -> list[Path]:
    return [path for path in _entries(directory) if path.name.startswith(prefix)]


def _entries(directory: Path) -> list[Path]:
    try:
        return list(directory.iterdir())
    except FileNotFoundError:
        return []
