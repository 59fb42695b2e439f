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
    """A directory to copy to, of which an archive is written to standard output afterwards."""
    with tempfile.TemporaryDirectory(prefix="firkin-cp-") as directory:
        yield directory
        await asyncio.to_thread(_write, directory)


def _write(directory: str) -> None:
    from firkin.file_trees.pieces import batched
    from firkin.file_trees.reading import TreeReader

    descriptor = os.open(directory, _DIRECTORY)
    try:
        for piece in batched(TreeReader().archive(descriptor, "")):
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
    from firkin.domain.tar_archive import Limits, TarReader
    from firkin.file_trees.places import failing
    from firkin.file_trees.writing import TreeWriter

    archive = TarReader(lambda: os.read(0, _PIECE_BYTES), Limits(tar_bytes=2**50))
    descriptor = os.open(directory, _DIRECTORY)
    try:
        with failing(directory):
            TreeWriter(None).write_tree(descriptor, archive, True)
    finally:
        os.close(descriptor)
