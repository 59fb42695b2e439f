"""Where rootfs are made: on tmpfs, and on ext4."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.images.cache import cache_directory

_LOOP_BYTES = 4 * 2**30
_NEEDED_BYTES = 6 * 2**30


@contextlib.contextmanager
def tmpfs() -> Iterator[Path]:
    """A directory in memory."""
    with _directory(Path("/dev/shm")) as place:
        yield place


@contextlib.contextmanager
def ext4() -> Iterator[Path]:
    """A directory on ext4, made on a file in memory, so that no disk is measured; on the disk when memory is scarce."""
    memory = Path("/dev/shm")
    is_enough = shutil.disk_usage(memory).free > _NEEDED_BYTES
    with _directory(memory if is_enough else cache_directory()) as place:
        image = place / "image"
        with image.open("wb") as file:
            file.truncate(_LOOP_BYTES)
        subprocess.run(["mke2fs", "-q", "-t", "ext4", "-E", "lazy_itable_init=0", str(image)], check=True)
        mounted = place / "mounted"
        mounted.mkdir()
        subprocess.run(["mount", "-o", "loop,discard", str(image), str(mounted)], check=True)
        try:
            yield mounted
        finally:
            subprocess.run(["umount", str(mounted)], check=True)


@contextlib.contextmanager
def _directory(parent: Path) -> Iterator[Path]:
    place = Path(tempfile.mkdtemp(prefix="firkin-bench-", dir=parent))
    try:
        yield place
    finally:
        shutil.rmtree(place)
