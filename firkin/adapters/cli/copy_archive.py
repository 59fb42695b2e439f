"""Copies as tar archives on standard output and standard input, by way of a directory for the moment."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

_PIECE_BYTES = 1 << 18
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


@asynccontextmanager
async def archive_written() -> AsyncIterator[str]:
    """A directory to copy to; an archive of what is in it then is written to standard output afterwards.

    Of the directory itself the archive says nothing: unpacking would give its mode to the directory of who unpacks.
    """
    with tempfile.TemporaryDirectory(prefix="firkin-cp-") as directory:
        yield directory
        await asyncio.to_thread(_write, directory)


def _write(directory: str) -> None:
    from firkin.file_trees.pieces import batched
    from firkin.file_trees.reading import TreeReader

    descriptor = os.open(directory, _DIRECTORY)
    try:
        for piece in batched(TreeReader().contents(descriptor)):
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
    finally:
        os.close(descriptor)


@asynccontextmanager
async def unpacked_archive() -> AsyncIterator[str]:
    """A directory with what the archive on standard input holds."""
    with tempfile.TemporaryDirectory(prefix="firkin-cp-") as directory:
        await asyncio.to_thread(_read, directory)
        yield directory


def _read(directory: str) -> None:
    from firkin.domain.errors import CopyFailed
    from firkin.domain.tar_archive import Limits, TarReader
    from firkin.file_trees.places import failing
    from firkin.file_trees.writing import TreeWriter

    archive = TarReader(lambda: os.read(0, _PIECE_BYTES), Limits(tar_bytes=2**50))
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
