"""References of the form `oci:DIR[:TAG]`."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import msgspec

from firkin.domain.errors import ImageNotFound, InvalidReference, PermissionMissing
from firkin.domain.image_names import path_readings

SCHEME = "oci"


class LayoutReference(msgspec.Struct, frozen=True):
    """A directory that exists, and the tag that is asked for."""

    text: str
    directory: Path
    tag: str | None


def located(text: str) -> LayoutReference:
    """Find the directory that a reference means: of all readings, the one whose existing directory is longest.

    Raises:
        InvalidReference: it is no reference of this scheme.
        ImageNotFound: no reading names an existing directory.
    """
    scheme, _, rest = text.partition(":")
    if scheme != SCHEME or not rest or rest.startswith(":"):
        raise InvalidReference(text, "expected oci:DIR or oci:DIR:TAG")
    if "\0" in rest:
        raise InvalidReference(text, "it contains NUL")
    for directory, tag in path_readings(rest):
        if _is_directory(directory):
            if tag == "":
                raise InvalidReference(text, "nothing follows the ':' after the directory")
            return LayoutReference(text, Path(directory).absolute(), tag)
    raise ImageNotFound(text, _absence(rest))


def _mode(path: str) -> int | None:
    try:
        return os.stat(path).st_mode
    except PermissionError as error:
        raise PermissionMissing(f"look at {path}", "a directory above it belongs to another user") from error
    except (OSError, UnicodeError):
        # Absent, or a name that no file can have: either way another reading may be meant.
        return None


def _is_directory(path: str) -> bool:
    mode = _mode(path)
    return mode is not None and stat.S_ISDIR(mode)


def _absence(rest: str) -> str:
    for path, _ in path_readings(rest):
        mode = _mode(path)
        if mode is not None and stat.S_ISREG(mode):
            return (
                f"{path} is a file, not a directory; if it is an archive of `docker save`, it is docker-archive:{path}"
            )
    directory = rest.rpartition(":")[0] or rest
    return f"there is no directory {directory}"
