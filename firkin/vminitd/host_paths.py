"""Finding, and where asked for making, what of the host a sandbox shall show, before the sandbox covers it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence

from firkin.domain.host_paths import HostPathKind

from .filesystem.beneath import Resolution, open_beneath

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


@contextlib.contextmanager
def held_host_paths(paths: Sequence[tuple[str, str, str, str]]) -> Iterator[dict[str, int]]:
    """Hold each open by its name, given as (name, kind, directory, path below it); no link below it is followed.

    Raises:
        OSError: one is not there any more, or a link has come in its way.
    """
    with contextlib.ExitStack() as opened:
        held: dict[str, int] = {}
        for name, kind, directory, path in paths:
            try:
                held[name] = _opened(HostPathKind(kind), directory, path)
            except OSError as error:
                raise OSError(error.errno, f"cannot open host path {directory}/{path}: {error.strerror}") from error
            opened.callback(os.close, held[name])
        yield held


def _opened(kind: HostPathKind, directory: str, path: str) -> int:
    if kind is HostPathKind.DIRECTORY_OR_CREATE:
        os.makedirs(directory, 0o755, exist_ok=True)
    root = os.open(directory, _DIRECTORY)
    try:
        if kind is HostPathKind.DIRECTORY_OR_CREATE:
            _make_directories(root, path)
        elif kind is HostPathKind.FILE_OR_CREATE:
            os.close(open_beneath(root, path, os.O_CREAT | os.O_RDONLY | os.O_NONBLOCK, Resolution.NO_SYMLINKS, 0o644))
        return open_beneath(root, path, os.O_PATH, Resolution.NO_SYMLINKS)
    finally:
        os.close(root)


def _make_directories(root: int, path: str) -> None:
    parts = path.split("/")
    for end in range(1, len(parts) + 1):
        parent = open_beneath(root, "/".join(parts[: end - 1]) or ".", _DIRECTORY, Resolution.NO_SYMLINKS)
        try:
            with contextlib.suppress(FileExistsError):
                os.mkdir(parts[end - 1], 0o755, dir_fd=parent)
        finally:
            os.close(parent)
