"""Making an empty filesystem image (mke2fs(8))."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

from firkin.domain.errors import MissingTool, PermissionMissing, StoreError, StoreFull

BLOCK_BYTES = 4096
# One inode per 8 KiB, twice mke2fs's default: images of many small files run out of inodes before they run out
# of bytes. The tables take 3 % of the size, but no space before they are used.
_BYTES_PER_INODE = 8192
_COMMON = (
    *("-q", "-F", "-t", "ext4", "-b", str(BLOCK_BYTES), "-i", str(_BYTES_PER_INODE), "-I", "256"),
    # Nothing is reserved for root: in a store everybody is.
    *("-m", "0"),
)
# Inode tables and journal are not written: a sparse file reads as zeros. root_owner: not whoever runs mke2fs.
_EXTENDED = "lazy_itable_init=1,lazy_journal_init=1,nodiscard,root_owner=0:0"
# A store keeps its size, so no room is set aside for growing: that room is most of what mke2fs would write.
_KEPT_FEATURES = "^resize_inode"
# What goes with its pod has no crash to survive: without a journal every write is written once.
_OWN_FEATURES = "^resize_inode,^has_journal"
_PROJECT_QUOTAS = ",quota,project"


@asynccontextmanager
async def new_image(
    path: Path, size_bytes: int, *, kept: bool, has_project_quotas: bool, search_path: str
) -> AsyncIterator[None]:
    """Make an image at `path` and hold its lock; at the end remove that name of it.

    Raises:
        MissingTool: mke2fs is not installed.
        StoreFull: no space left for it.
        PermissionMissing: the directory cannot be written to.
        StoreError: mke2fs refused.
    """
    program = shutil.which("mke2fs", path=search_path)
    if program is None:
        raise MissingTool("mke2fs", "making an ext4 pod store", "e2fsprogs")
    with _sparse_file(path, size_bytes):
        features = _KEPT_FEATURES if kept else _OWN_FEATURES
        quotas = _PROJECT_QUOTAS if has_project_quotas else ""
        extended = f"{_EXTENDED},quotatype=prjquota" if has_project_quotas else _EXTENDED
        await _run(program, *_COMMON, "-O", f"{features}{quotas}", "-E", extended, "--", str(path))
        yield


@contextmanager
def _sparse_file(path: Path, size_bytes: int) -> Iterator[None]:
    """A new file, locked from the first moment: one that is not locked has lost its owner."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise translated(error, path) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        _set_length(descriptor, size_bytes, path)
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _set_length(descriptor: int, size_bytes: int, path: Path) -> None:
    try:
        os.truncate(descriptor, size_bytes)
    except OSError as error:
        raise translated(error, path) from error


async def _run(program: str, *arguments: str) -> None:
    process = await asyncio.create_subprocess_exec(
        program,
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={"LANG": "C"},
        start_new_session=True,  # Ctrl-C is this program's: it ends mke2fs itself
    )
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode:
        text = output.decode(errors="replace").strip()
        if os.strerror(errno.ENOSPC) in text:
            raise StoreFull(arguments[-1])
        raise StoreError(f"mke2fs could not make the pod store {arguments[-1]}: {text}")


def translated(error: OSError, path: Path) -> Exception:
    """The error of firkin that an operating system's refusal of a store file amounts to."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreFull(str(path))
    if error.errno == errno.EFBIG:
        return StoreError(f"pod store {path} cannot be made: its filesystem allows no file of that size")
    remedy = "choose a path that you may write to, or run as its owner"
    return PermissionMissing(f"write the pod store {str(path)!r} ({error.strerror})", remedy)
