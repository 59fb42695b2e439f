"""Where rootfs are made, on tmpfs and on ext4, and of what: layers in the page cache, and layers on the disk."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.images.cache import cache_directory

MEMORY = Path("/dev/shm")
_LOOP_BYTES = 4 * 2**30
_NEEDED_BYTES = 6 * 2**30


@contextlib.contextmanager
def tmpfs() -> Iterator[Path]:
    """A directory in memory."""
    with _directory(MEMORY) as place:
        yield place


@contextlib.contextmanager
def ext4() -> Iterator[Path]:
    """A directory on ext4, made on a file in memory, so that no disk is measured; on the disk when memory is scarce."""
    is_enough = shutil.disk_usage(MEMORY).free > _NEEDED_BYTES
    with _directory(MEMORY if is_enough else cache_directory()) as place:
        image = place / "image"
        with image.open("wb") as file:
            file.truncate(_LOOP_BYTES)
        subprocess.run(["mke2fs", "-q", "-t", "ext4", "-E", "lazy_itable_init=0", str(image)], check=True)
        mounted = place / "mounted"
        mounted.mkdir()
        subprocess.run(["mount", "-o", "loop,discard", str(image), str(mounted)], check=True)
        image.unlink()  # the loop device keeps it, and gives it back with the mount
        try:
            yield mounted
        finally:
            subprocess.run(["umount", str(mounted)], check=True)


def forget(path: Path) -> None:
    """Have the disk read again for a file; what others have in the page cache stays.

    Raises:
        RuntimeError: it stays in the page cache.
    """
    with path.open("rb", buffering=0) as file:
        os.fdatasync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        with contextlib.suppress(BlockingIOError):
            if os.preadv(file.fileno(), [bytearray(1)], 0, os.RWF_NOWAIT):
                raise RuntimeError(f"the page cache keeps {path}")


@contextlib.contextmanager
def _directory(parent: Path) -> Iterator[Path]:
    place = Path(tempfile.mkdtemp(prefix="firkin-bench-", dir=parent))
    try:
        yield place
    finally:
        shutil.rmtree(place)
