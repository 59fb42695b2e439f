"""The ids that a store's templates were made with: those of other ids show the wrong owners, and are made again."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from firkin.domain.errors import StoreInUse

from .discarding import discard
from .locks import LOCKS, WAIT_SECONDS, StoreLock, template_users
from .owned_trees import OwnedTrees

IDS = ".ids"
"""Holds the map of an ordinary user; the templates of root have the host's ids, and there is no such file."""


async def discard_foreign_templates(store: Path, share: StoreLock, trees: OwnedTrees) -> None:
    """Move templates that were made with other ids out of the way, and note whose ids the store is for from now on.

    Raises:
        StoreInUse: somebody uses them.
    """
    id_map = trees.id_map()
    wanted = "" if id_map is None else str(id_map)
    if _noted(store) == wanted:
        return
    async with template_users(store / LOCKS, WAIT_SECONDS):
        # Somebody may have noted it meanwhile.
        if _noted(store) != wanted:
            if _has_templates(store):
                with share.held_alone() as alone:
                    if not alone:
                        raise StoreInUse(str(store))
                discard(store, [store / "templates"], trees)
            _note(store, wanted)


def _has_templates(store: Path) -> bool:
    try:
        return bool(os.listdir(store / "templates"))
    except FileNotFoundError:
        return False


def _noted(store: Path) -> str:
    try:
        return (store / IDS).read_text("ascii", "replace")
    except FileNotFoundError:
        return ""


def _note(store: Path, ids: str) -> None:
    if not ids:
        with contextlib.suppress(FileNotFoundError):
            (store / IDS).unlink()
        return
    aside = store / f"{IDS}-{secrets.token_hex(8)}"
    aside.write_text(ids, "ascii")
    aside.rename(store / IDS)
