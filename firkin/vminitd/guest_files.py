"""Files of the sandbox as SandboxContext has them: by any path of the agent's own view."""

from __future__ import annotations

import os
import stat
from io import FileIO

from firkin.domain.errors import PathRefused


def write_guest_file(
    path: str, data: bytes, mode: int, *, create_parents: bool, append: bool, create_if_missing: bool
) -> None:
    """Write a file; unless `append`, what it held before is gone.

    `mode` (0: 0o644) counts exactly for a file that is made; an older one keeps its own.

    Raises:
        PathRefused: it is a named pipe, which might never be read.
        OSError: it cannot be written.
    """
    if create_parents:
        os.makedirs(os.path.dirname(path) or "/", 0o755, exist_ok=True)
    # Other agents never truncate, so that a shorter text keeps the tail of the longer one; that is a defect.
    flags = os.O_WRONLY | os.O_CLOEXEC | (os.O_APPEND if append else os.O_TRUNC)
    made = create_if_missing and not os.path.lexists(path)
    flags |= os.O_NONBLOCK | (os.O_CREAT if create_if_missing else 0)
    file = os.open(path, flags, (mode & 0o7777) or 0o644)
    try:
        if stat.S_ISFIFO(os.fstat(file).st_mode):
            raise PathRefused(path, "it is a named pipe")
        if made:
            os.fchmod(file, (mode & 0o7777) or 0o644)
        view = memoryview(data)
        while view:
            view = view[os.write(file, view) :]
    finally:
        os.close(file)


def opened_guest_file(path: str) -> FileIO:
    """A regular file, open for reading; anything else might never end.

    Raises:
        PathRefused: it is no regular file.
        OSError: it cannot be opened.
    """
    file = FileIO(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK))
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise PathRefused(path, "it is not a regular file")
    return file
