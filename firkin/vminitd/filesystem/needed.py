"""What the agent itself needs of its sandbox: nobody mounts over it, unmounts it or removes it."""

from __future__ import annotations

import errno
import functools
import os
import sys
from pathlib import Path

from firkin.domain.errors import PathRefused

# The sockets of the host, what containers are run from, and where every program finds the kernel.
_SANDBOX = ("/proc", "/sys", "/dev", "/run/firkin/host", "/run/container")
_LIBRARIES = ("/lib", "/lib64", "/usr/lib")
_PACKAGE = str(Path(__file__).parents[2])
_REASON = "the agent needs what is there"


def check_absolute(path: str) -> None:
    """Refuse a path that depends on where the agent happens to be.

    Raises:
        PathRefused: it is not absolute, or has a NUL.
    """
    if "\0" in path:
        raise PathRefused(path, "it contains NUL")
    if not path.startswith("/"):
        raise PathRefused(path, "it is not absolute")


def refuse_covering(path: str) -> None:
    """Refuse to hide, or lay open again, what is at a path and below it.

    Raises:
        PathRefused: the path is not absolute, or something that the agent needs is there.
    """
    check_absolute(path)
    if os.path.realpath(path) in _needed_with_parents():
        raise PathRefused(path, _REASON, errno=errno.EBUSY)


def refuse_removing(path: str) -> None:
    """Refuse to remove a path, whose last component counts as it is, with what is below it.

    Raises:
        PathRefused: it is not absolute or not normalised, or something that the agent needs is at it, below or above.
    """
    check_absolute(path)
    if os.path.normpath(path) != path:
        raise PathRefused(path, "it is not normalised")
    resolved = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
    if resolved in _needed_with_parents() or any(str(parent) in _kept_whole() for parent in Path(resolved).parents):
        raise PathRefused(path, _REASON, errno=errno.EBUSY)


@functools.cache
def _needed_with_parents() -> frozenset[str]:
    needed = {os.path.realpath(path) for path in (*_SANDBOX, *_LIBRARIES, *os.get_exec_path(), *_kept_whole())}
    return frozenset(str(path) for each in needed for path in (each, *Path(each).parents))


@functools.cache
def _kept_whole() -> frozenset[str]:
    """Directories that nothing is removed from."""
    whole = {os.path.realpath(path) for path in ("/proc", "/sys", "/dev", "/run/firkin/host", _PACKAGE, sys.prefix)}
    return frozenset(whole | {os.path.realpath(sys.base_prefix)})
