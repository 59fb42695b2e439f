"""Letting another user reach the interpreter and the sources, wherever root keeps them."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from firkin.vminitd.filesystem import syscalls
from firkin.vminitd.filesystem.mounts import MS_BIND, MS_REC
from tests.images.cache import cache_directory

SOURCES = Path(__file__).parents[2]


def open_up() -> None:
    """Make the interpreter, firkin, its tests and their images reachable to everybody in this mount namespace.

    Each directory that others may not enter is covered by one in which there is only what is to be reached.
    """
    for closed, paths in groupby(_out_of_reach(), key=_closed_parent):
        with contextlib.ExitStack() as held:
            descriptors = {path: held.enter_context(_held(path)) for path in paths}
            syscalls.mount("tmpfs", str(closed), "tmpfs", 0, "mode=755")
            for path, descriptor in descriptors.items():
                path.mkdir(parents=True, exist_ok=True)
                syscalls.mount(f"/proc/self/fd/{descriptor}", str(path), None, MS_BIND | MS_REC, None)


def _out_of_reach() -> list[Path]:
    wanted = {Path(sys.base_prefix).resolve(), Path(sys.prefix), SOURCES, cache_directory()}
    return sorted(path for path in wanted if _closed_parent(path) is not None)


def _closed_parent(path: Path) -> Path | None:
    """The topmost directory above `path` that others may not enter."""
    return next((parent for parent in reversed(path.parents) if not parent.stat().st_mode & 0o001), None)


@contextlib.contextmanager
def _held(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_PATH | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
