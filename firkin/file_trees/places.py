"""Where a copy begins and ends, by paths of one's own filesystem: names here are trusted, archives are not."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator

import msgspec

from firkin.domain.copying import CopySource, Destination, is_placed_inside
from firkin.domain.errors import CopyFailed
from firkin.domain.tar_archive import TarReader

from .ownership import Owner
from .writing import TreeWriter

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class OpenSource(msgspec.Struct, frozen=True):
    """A file or directory, open."""

    descriptor: int
    source: CopySource


@contextlib.contextmanager
def failing(path: str) -> Iterator[None]:
    """Turn what the kernel says into CopyFailed."""
    try:
        yield
    except OSError as error:
        raise CopyFailed(str(error.filename or path), error.strerror or str(error)) from error


def opened_source(path: str) -> OpenSource:
    """Open what is to be copied; a symlink is followed.

    Raises:
        CopyFailed: it is missing, may not be read, or is neither a file nor a directory.
    """
    with failing(path):
        # O_NONBLOCK: a named pipe must not wait for a writer, but be refused.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    mode = os.fstat(descriptor).st_mode
    if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
        os.close(descriptor)
        raise CopyFailed(path, "it is neither a file nor a directory")
    return OpenSource(descriptor, CopySource(path, stat.S_ISDIR(mode)))


def placed(source: CopySource, destination: str) -> str:
    """Where a source goes.

    Raises:
        CopyFailed: it cannot go there.
    """
    place = Destination(destination, os.path.lexists(destination), os.path.isdir(destination))
    inside = is_placed_inside(source, place)
    path = os.path.join(destination, source.name) if inside else destination.rstrip("/") or "/"
    _require_replaceable(path)
    return path


def _require_replaceable(path: str) -> None:
    """Refuse the place of a device, a pipe or a socket, and of a link to a descriptor, as /dev/stdout is."""
    with contextlib.suppress(OSError):  # nothing is there, or what is wrong is told later
        mode = os.stat(path).st_mode
        is_of_process = os.path.islink(path) and os.readlink(path).startswith("/proc/")
        if is_of_process or not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
            raise CopyFailed(path, "what is there is neither a file nor a directory; `-` is standard output")


def write_to(path: str, is_directory: bool, writer: TreeWriter, archive: TarReader) -> None:
    """Write the archive of a directory, or of one file, to `path`.

    Raises:
        CopyFailed: it cannot be written there, or the archive is broken.
    """
    with failing(path):
        if is_directory:
            _write_directory(path, writer, archive)
            return
        parent, name = os.path.split(path)
        directory = os.open(parent or ".", _DIRECTORY)
        try:
            writer.write_file(directory, name, archive)
        finally:
            os.close(directory)


def _write_directory(path: str, writer: TreeWriter, archive: TarReader) -> None:
    try:
        os.mkdir(path)
        is_new = True
    except FileExistsError:
        is_new = False
    top = os.open(path, _DIRECTORY)
    try:
        writer.write_tree(top, archive, is_new)
    finally:
        os.close(top)


def callers_own(keep_ownership: bool) -> Owner | None:
    """Whose files are that come from a container."""
    return None if keep_ownership else Owner(os.geteuid(), os.getegid())
