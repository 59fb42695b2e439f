"""References of the form `docker-archive:FILE[:NAME]`."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import msgspec

from firkin.domain.errors import ImageNotFound, InvalidReference, PermissionMissing
from firkin.domain.image_names import path_readings

SCHEME = "docker-archive"


class ArchiveReference(msgspec.Struct, frozen=True):
    """A file that exists, and the name (or `@INDEX`, counted from 0) that is asked for."""

    text: str
    path: Path
    name: str | None


def located(text: str) -> ArchiveReference:
    """Find the file that a reference means: of all readings, the one whose existing file is longest.

    Raises:
        InvalidReference: it is no reference of this scheme.
        ImageNotFound: no reading names an existing file.
    """
    scheme, _, rest = text.partition(":")
    if scheme != SCHEME or not rest or rest.startswith(":"):
        raise InvalidReference(text, "expected docker-archive:FILE or docker-archive:FILE:NAME")
    if "\0" in rest:
        raise InvalidReference(text, "it contains NUL")
    for path, name in path_readings(rest):
        mode = _mode(path)
        if mode is not None and stat.S_ISREG(mode):
            if name == "":
                raise InvalidReference(text, "nothing follows the ':' after the file")
            return ArchiveReference(text, Path(path).absolute(), name)
    raise ImageNotFound(text, _absence(rest))


def _mode(path: str) -> int | None:
    try:
        return os.stat(path).st_mode
    except PermissionError as error:
        raise PermissionMissing(f"look at {path}", "a directory above it belongs to another user") from error
    except (OSError, UnicodeError):
        # Absent, or a name that no file can have: either way another reading may be meant.
        return None


def _absence(rest: str) -> str:
    for path, _ in path_readings(rest):
        if (mode := _mode(path)) is not None:
            if stat.S_ISDIR(mode):
                return f"{path} is a directory; an OCI image layout is oci:{path}"
            return f"{path} is not a regular file"
    return f"there is no file {next(path for path, _ in path_readings(rest))}"
