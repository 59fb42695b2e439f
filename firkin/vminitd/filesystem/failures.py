"""What an errno means to the caller of the agent."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator

from firkin.domain.errors import AgentError, FirkinError, StoreDamaged, StoreFull

from ..error_numbers import number_of

_FULL = (errno.ENOSPC, errno.EDQUOT)


def translated(error: OSError, operation: str, path: str) -> FirkinError:
    """The error of firkin that `error` amounts to, when `operation` was done to `path`."""
    number = number_of(error)
    if number in _FULL:
        return StoreFull(path)
    # Those of name resolution have numbers of their own.
    reason = os.strerror(number) if error.errno == number else error.strerror or str(error) or os.strerror(number)
    if number == errno.EUCLEAN:
        return StoreDamaged(path, reason)
    return AgentError(operation, reason, path=path, errno=number)


@contextlib.contextmanager
def translating(operation: str, path: str) -> Iterator[None]:
    """Turn any OSError of the block into the error of firkin that it amounts to.

    Raises:
        StoreFull: no space or inodes are left.
        StoreDamaged: the filesystem found itself inconsistent.
        AgentError: anything else, with `operation`, `path` and errno.
    """
    try:
        yield
    except OSError as error:
        raise translated(error, operation, path) from error
