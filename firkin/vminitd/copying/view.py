"""A container's files as the container sees them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Protocol

from ..filesystem.beneath import opened_directory

_ROOT = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Init(Protocol):
    """The first process of a container."""

    @property
    def pid(self) -> int:
        """In the agent's process namespace."""
        ...

    @property
    def phase(self) -> str:
        """`running` for as long as the pid means this process."""
        ...


@contextlib.contextmanager
def opened_view(root: str, init: Init | None) -> Iterator[int]:
    """The root directory of a container, open: with all its mounts while `init` runs, else the rootfs at `root`.

    Raises:
        OSError: there is no such directory.
    """
    view = _running_view(init)
    if view is None:
        with opened_directory(root) as descriptor:
            yield descriptor
        return
    try:
        yield view
    finally:
        os.close(view)


def _running_view(init: Init | None) -> int | None:
    if init is None or init.phase != "running":
        return None
    try:
        descriptor = os.open(f"/proc/{init.pid}/root", _ROOT)
    except OSError:
        return None  # it is ending just now
    # Had the process been reaped before the directory was opened, its number might be another one's.
    if init.phase == "running":
        return descriptor
    os.close(descriptor)
    return None
