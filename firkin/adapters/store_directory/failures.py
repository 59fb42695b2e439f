"""What the filesystem refuses, as errors of firkin."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from firkin.domain.errors import ConfigurationError, PermissionMissing, StoreFull


@contextmanager
def translated(store: Path) -> Iterator[None]:
    """Translate what the store refuses.

    Raises:
        ConfigurationError: it is not a directory.
        StoreFull: it is full.
        PermissionMissing: it may not be written to.
    """
    try:
        yield
    except (FileExistsError, NotADirectoryError) as error:
        raise ConfigurationError(f"pod store {str(store)!r} is not a directory") from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StoreFull(str(error.filename or store)) from error
        raise PermissionMissing(
            f"write to the pod store {str(store)!r} ({error.strerror})",
            "choose a directory that you may write to, or run as its owner",
        ) from error
