"""Files of the sandbox as SandboxContext has them: by any path of the agent's own view."""

from __future__ import annotations

import os


def write_guest_file(
    path: str, data: bytes, mode: int, *, create_parents: bool, append: bool, create_if_missing: bool
) -> None:
    """Write a file; unless `append`, what it held before is gone.

    `mode` (0: 0o644) counts exactly for a file that is made; an older one keeps its own.

    Raises:
        OSError: it cannot be written.
    """
    if create_parents:
        os.makedirs(os.path.dirname(path) or "/", 0o755, exist_ok=True)
    # Other agents never truncate, so that a shorter text keeps the tail of the longer one; that is a defect.
    flags = os.O_WRONLY | os.O_CLOEXEC | (os.O_APPEND if append else os.O_TRUNC)
    made = create_if_missing and not os.path.lexists(path)
    file = os.open(path, flags | (os.O_CREAT if create_if_missing else 0), (mode & 0o7777) or 0o644)
    try:
        if made:
            os.fchmod(file, (mode & 0o7777) or 0o644)
        view = memoryview(data)
        while view:
            view = view[os.write(file, view) :]
    finally:
        os.close(file)
