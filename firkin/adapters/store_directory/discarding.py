"""Moving what is not wanted any more out of the way."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from pathlib import Path

from .owned_trees import OwnedTrees

DISCARDED_PREFIX = ".discarded-"


def discard(parent: Path, victims: list[Path], trees: OwnedTrees) -> Path | None:
    """Move `victims` into a new directory below `parent`, of the same filesystem; None when none is left.

    Renaming is quick and atomic: a victim is there whole, or not at all. Where the filesystem is too full for
    one more directory, the victims are removed on the spot.
    """
    existing = [victim for victim in victims if os.path.lexists(victim)]
    if not existing:
        return None
    destination = parent / f"{DISCARDED_PREFIX}{secrets.token_hex(8)}"
    try:
        destination.mkdir(mode=0o700)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        for victim in existing:
            trees.remove(victim)
        return None
    for number, victim in enumerate(existing):
        with contextlib.suppress(FileNotFoundError):
            victim.rename(destination / str(number))
    return destination
