"""Holding a guest image for as long as a machine runs from it, lest its space be given back meanwhile."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from firkin.domain.errors import BootFailed
from firkin.ports.guest_image import BuildProgress, GuestImage, GuestImages

_ATTEMPTS = 3
_PATIENCE_SECONDS = 10.0
_PAUSE_SECONDS = 0.01


async def held_image(
    images: GuestImages, kernel: Path | None, progress: BuildProgress | None, hold: ExitStack
) -> GuestImage:
    """Find the image, built when it is not there, and hold it until `hold` is closed.

    One that is removed after it was found is asked for again. Who only looks whether it is in use has it locked for a
    moment, so one that is locked is waited for.

    Raises:
        BootFailed: it is removed, or somebody has it locked, each time.
    """
    loop = asyncio.get_running_loop()
    deadline, attempts = loop.time() + _PATIENCE_SECONDS, 0
    while attempts < _ATTEMPTS or loop.time() < deadline:
        attempts += 1
        image = await images.image(kernel, progress)
        with ExitStack() as attempt:
            if attempt.enter_context(image_held(image)):
                hold.push(attempt.pop_all())
                return image
        await asyncio.sleep(_PAUSE_SECONDS)
    raise BootFailed("take a guest image", f"each time that {image.root} is found it is locked, or is removed")


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
