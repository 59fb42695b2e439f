"""The error number of Linux of failures that do not say it themselves."""

from __future__ import annotations

import errno
import functools
import os
from collections.abc import Mapping


def number_of(error: OSError) -> int:
    """The number of an error of the system; never 0, also for one that was made without."""
    # Those of name resolution are negative, and mean something else (getaddrinfo(3)).
    if error.errno is not None and error.errno > 0:
        return error.errno
    match error:
        case TimeoutError():
            return errno.ETIMEDOUT
        case ConnectionAbortedError():
            return errno.ECONNABORTED
        case FileNotFoundError():
            return errno.ENOENT
        case _:
            return errno.EIO


def told_number(sentence: str) -> int:
    """The number that a program's sentence ends with in words (`mount proc: Operation not permitted`), else EIO."""
    words = sentence.rstrip(" .\n").rpartition(": ")[2].casefold()
    return _numbers_by_words().get(words, errno.EIO)


@functools.cache
def _numbers_by_words() -> Mapping[str, int]:
    # As the C library has them, and in lower case as Go does.
    return {os.strerror(number).casefold(): number for number in sorted(errno.errorcode, reverse=True)}
