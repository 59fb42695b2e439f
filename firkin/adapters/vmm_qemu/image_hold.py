"""Holding a guest image for as long as a machine runs from it, lest its space be given back meanwhile."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from firkin.ports.guest_image import GuestImage


@contextmanager
def image_held(image: GuestImage) -> Iterator[bool]:
    """Hold a shared lock (flock(2)) on the image's root; False when the image has gone, or is going."""
    try:
        root = os.open(image.root, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield False
        return
    try:
        yield _is_locked(root) and _is_in_place(root, image)
    finally:
        os.close(root)


def _is_locked(root: int) -> bool:
    try:
        fcntl.flock(root, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_in_place(root: int, image: GuestImage) -> bool:
    try:
        return os.path.samestat(os.fstat(root), os.stat(image.root))
    except FileNotFoundError:
        return False
