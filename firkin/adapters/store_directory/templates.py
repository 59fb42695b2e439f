"""What a directory store keeps for later pods."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
from msgspec.structs import replace

from firkin.domain.digest import Digest
from firkin.domain.errors import InvalidDigest
from firkin.domain.guest_path import GuestPath
from firkin.domain.json_decoding import decoded_json
from firkin.domain.layout import StoreLayout
from firkin.domain.reclaiming import Reclaimable, ReclaimableKind

from .discarding import discard
from .failures import translated
from .locks import LOCKS, WAIT_SECONDS, noted_templates, shared_store, template_users
from .owned_trees import DEFAULT_SEARCH_PATH, OwnedTrees

_PREFIX = "sha256-"
_MARK_CHARACTERS = 128
_NOTE_BYTES = 4096


class DirectoryTemplates:
    """The templates of a directory store: keeps the port ReclaimableSpace. One that a pod uses is never removed."""

    def __init__(self, state_dir: Path, path: Path | None = None, search_path: str = DEFAULT_SEARCH_PATH) -> None:
        """Touch nothing yet; without a path, the store is `<state_dir>/store`."""
        self._store = (path or state_dir / "store").absolute()
        self._layout = StoreLayout(GuestPath(str(self._store)))
        self._templates = Path(self._layout.templates)
        self._trees = OwnedTrees(search_path)

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
                    discarded = discard(self._store, [template], self._trees)
                if discarded is not None:
                    await asyncio.to_thread(self._trees.remove, discarded)
        return item

    def _items(self) -> Iterator[Reclaimable]:
        with translated(self._store), contextlib.suppress(FileNotFoundError):
            users = noted_templates(self._store / LOCKS)
            found = list(self._found())
            for (path, chain_id), size_bytes in zip(found, self._sizes(found), strict=True):
                with contextlib.suppress(FileNotFoundError):
                    held = _held(users[chain_id]) if chain_id in users else ""
                    used = path.stat().st_mtime
                    lies_on, replaced = self._below(chain_id), self._replaced(chain_id)
                    yield Reclaimable(
                        ReclaimableKind.TEMPLATE, chain_id, size_bytes, used, held, below=lies_on, replaced=replaced
                    )

    def _found(self) -> Iterator[tuple[Path, Digest]]:
        for path in sorted(self._templates.iterdir()):
            with contextlib.suppress(InvalidDigest):
                yield path, Digest(path.name.replace(_PREFIX, "sha256:", 1))

    def _below(self, chain_id: Digest) -> str:
        layout = self._layout
        if os.path.exists(layout.template_mark(chain_id)):
            return ""
        with contextlib.suppress(FileNotFoundError), open(layout.template_stack(chain_id)) as mark:
            return mark.read(_MARK_CHARACTERS).strip()
        return ""

    def _replaced(self, chain_id: Digest) -> Mapping[str, int]:
        """What was noted when the template was made; nothing when the note makes no sense."""
        try:
            with open(self._layout.template_replacements(chain_id), "rb") as note:
                return decoded_json(note.read(_NOTE_BYTES), dict[str, int])
        except (FileNotFoundError, msgspec.DecodeError):
            return {}

    def _sizes(self, found: list[tuple[Path, Digest]]) -> list[int]:
        return self._trees.used_bytes([path for path, _ in found])


def _held(pod_id: str) -> str:
    return f"pod {pod_id} uses it"
