"""Reading the text of a manifest."""

from __future__ import annotations

import sys
from pathlib import Path

from firkin.domain.size import Size

# More than a manifest may have; what has no end, as /dev/zero, is not read for ever.
_MOST_BYTES = Size.mib(8)


def manifest_text(manifest: str, source: str) -> str:
    """The text of a file, or of standard input when it is called `-`; `source` is its name in messages.

    Raises:
        ManifestError: it is no text in UTF-8, or too long.
        OSError: it cannot be read.
    """
    data = _data(manifest)
    if len(data) > _MOST_BYTES:
        raise _unusable(source, "manifest", "too-long", f"it is longer than {_MOST_BYTES}")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        problem = _unusable(source, f"byte {error.start}", "not-utf-8", "the file is not text in UTF-8")
        raise problem from error


def _data(manifest: str) -> bytes:
    if manifest == "-":
        return sys.stdin.buffer.read(_MOST_BYTES + 1)
    with Path(manifest).open("rb") as file:
        return file.read(_MOST_BYTES + 1)


def _unusable(source: str, where: str, code: str, message: str) -> Exception:
    from firkin.domain.errors import ManifestError, SpecProblem

    return ManifestError(source, (SpecProblem(where, code, message),))
