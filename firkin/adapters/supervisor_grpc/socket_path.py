"""Paths of sockets in directories of any depth: unix(7) allows 107 bytes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SOCKET = "control.sock"


def has_socket(path: str) -> bool:
    """Whether somebody has begun to listen there."""
    return os.path.exists(path)


def remove_socket(path: str) -> None:
    """Let nobody come any more; twice is fine."""
    with suppress(FileNotFoundError):
        os.unlink(path)


@contextmanager
def short_path(directory: Path) -> Iterator[str]:
    """The control socket of a pod's directory, by a path that is short as long as the block lasts."""
    descriptor = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{SOCKET}"
    finally:
        os.close(descriptor)
