"""Copies as tar archives on standard output and standard input, by way of a directory for the moment."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

from .waking_thread import WakingThread

_PIECE_BYTES = 1 << 18
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_REMOVALS = 100


@asynccontextmanager
async def archive_written() -> AsyncIterator[str]:
    """A directory to copy to; an archive of what is in it then is written to standard output afterwards.

    Of the directory itself the archive says nothing: unpacking would give its mode to the directory of who unpacks.
    """
    with _directory_for_the_moment() as directory:
        yield directory
        thread = WakingThread()
        await thread.done(lambda: _write(directory, thread), "write an archive")


def _write(directory: str, thread: WakingThread) -> None:
    from firkin.file_trees.pieces import batched
    from firkin.file_trees.reading import TreeReader

    descriptor = os.open(directory, _DIRECTORY)
    try:
        for piece in batched(TreeReader().contents(descriptor)):
            thread.write(1, piece)
    finally:
        os.close(descriptor)


@asynccontextmanager
async def unpacked_archive() -> AsyncIterator[str]:
    """A directory with what the archive on standard input holds."""
    with _directory_for_the_moment() as directory:
        thread = WakingThread()
        await thread.done(lambda: _read(directory, thread), "unpack an archive")
        yield directory


def _read(directory: str, thread: WakingThread) -> None:
    from firkin.domain.errors import CopyFailed
    from firkin.domain.tar_archive import Limits, TarReader
    from firkin.file_trees.places import failing
    from firkin.file_trees.writing import TreeWriter

    archive = TarReader(lambda: thread.read(0, _PIECE_BYTES), Limits(tar_bytes=2**50))
    descriptor = os.open(directory, _DIRECTORY)
    try:
        with failing(directory):
            TreeWriter(None).write_tree(descriptor, archive, True)
    except CopyFailed as error:
        if error.path:
            raise
        raise CopyFailed("-", error.reason) from error
    finally:
        os.close(descriptor)


@contextmanager
def _directory_for_the_moment() -> Iterator[str]:
    directory = tempfile.TemporaryDirectory(prefix="firkin-cp-")
    try:
        yield directory.name
    finally:
        _remove(directory)


def _remove(directory: tempfile.TemporaryDirectory[str]) -> None:
    """Remove it, also while a supervisor that was called off still writes its last files there."""
    for _ in range(_REMOVALS):
        with suppress(OSError):
            directory.cleanup()
            return
    directory.cleanup()
