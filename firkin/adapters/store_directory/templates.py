"""What a directory store keeps for later pods."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from msgspec.structs import replace

from firkin.domain.digest import Digest
from firkin.domain.errors import InvalidDigest
from firkin.domain.reclaiming import Reclaimable, ReclaimableKind

from .failures import translated
from .locks import LOCKS, WAIT_SECONDS, noted_templates, shared_store, template_users
from .removal import discard, remove_tree

_PREFIX = "sha256-"


class DirectoryTemplates:
    """The templates of a directory store: keeps the port ReclaimableSpace. One that a pod uses is never removed."""

    def __init__(self, state_dir: Path, path: Path | None = None) -> None:
        """Touch nothing yet; without a path, the store is `<state_dir>/store`."""
        self._store = (path or state_dir / "store").absolute()
        self._templates = self._store / "templates"

    async def items(self) -> tuple[Reclaimable, ...]:
        """All templates; a store that does not exist has none."""
        return await asyncio.to_thread(lambda: tuple(self._items()))

    async def reclaim(self, item: Reclaimable) -> Reclaimable:
        """Remove a template unless a pod uses it by now.

        Raises:
            StoreInUse: somebody holds the store for himself for too long.
        """
        template = self._templates / f"{_PREFIX}{Digest(item.identity).hex}"
        with translated(self._store):
            # The share keeps a pod that finds itself alone from clearing away what is being removed here.
            async with shared_store(self._store, WAIT_SECONDS):
                async with template_users(self._store / LOCKS, WAIT_SECONDS) as users:
                    if (user := users.get(Digest(item.identity))) is not None:
                        return replace(item, held=_held(user))
                    discarded = discard(self._store, [template])
                if discarded is not None:
                    await asyncio.to_thread(remove_tree, discarded)
        return item

    def _items(self) -> Iterator[Reclaimable]:
        with translated(self._store), contextlib.suppress(FileNotFoundError):
            users = noted_templates(self._store / LOCKS)
            for path in sorted(self._templates.iterdir()):
                with contextlib.suppress(FileNotFoundError, InvalidDigest):
                    yield _item(path, users)


def _item(path: Path, users: dict[Digest, str]) -> Reclaimable:
    chain_id = Digest(path.name.replace(_PREFIX, "sha256:", 1))
    held = _held(users[chain_id]) if chain_id in users else ""
    return Reclaimable(ReclaimableKind.TEMPLATE, chain_id, _used_bytes(path), path.stat().st_mtime, held)


def _held(pod_id: str) -> str:
    return f"pod {pod_id} uses it"


def _used_bytes(root: Path) -> int:
    """The space of a tree, where a file of several names counts once."""
    total = 0
    seen: set[int] = set()
    waiting = [os.fspath(root)]
    while waiting:
        # What belongs to a container's user may be closed to an ordinary user of firkin.
        with contextlib.suppress(FileNotFoundError, PermissionError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                status = entry.stat(follow_symlinks=False)
                if status.st_nlink > 1 and not entry.is_dir(follow_symlinks=False):
                    if status.st_ino in seen:
                        continue
                    seen.add(status.st_ino)
                total += status.st_blocks * 512
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
    return total
