"""Where rootfs are made: on ext4, and in memory."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.images.cache import cache_directory

_LOOP_BYTES = 8 * 2**30


@contextlib.contextmanager
def tmpfs() -> Iterator[Path]:
    """A directory in memory."""
    with _directory(Path("/dev/shm")) as place:
        yield place


@contextlib.contextmanager
def ext4() -> Iterator[Path]:
    """A directory on ext4: of the disk when it is one, otherwise of a file on it."""
    with _directory(cache_directory()) as place:
        kind = subprocess.run(["stat", "-f", "-c", "%T", str(place)], check=True, capture_output=True, text=True).stdout
        if kind.strip() == "ext2/ext3":
            yield place
            return
        image = place / "image"
        with image.open("wb") as file:
            file.truncate(_LOOP_BYTES)
        subprocess.run(["mke2fs", "-q", "-t", "ext4", str(image)], check=True)
        mounted = place / "mounted"
        mounted.mkdir()
        subprocess.run(["mount", "-o", "loop", str(image), str(mounted)], check=True)
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
