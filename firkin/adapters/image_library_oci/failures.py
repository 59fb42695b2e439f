"""What the filesystem refuses, as errors of firkin."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from firkin.domain.errors import ImageSpaceMissing, PermissionMissing


@contextlib.contextmanager
def translated(directory: Path) -> Iterator[None]:
    """Translate what the image directory refuses.

    Raises:
        ImageSpaceMissing: it is full.
        PermissionMissing: it may not be used.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ImageSpaceMissing(str(directory)) from error
        remedy = f"{error.strerror}; choose another state directory, or run as its owner"
        raise PermissionMissing(f"use the images in {directory}", remedy) from error
