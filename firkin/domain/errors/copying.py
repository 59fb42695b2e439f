"""Copying between the host and a container."""

from __future__ import annotations

from errno import EINVAL

from .base import FirkinError


class CopyFailed(FirkinError):
    """A copy stopped at `path`, which is the host's or the container's; each file that was copied before is whole."""

    code = "copy-failed"

    def __init__(self, path: str, reason: str, *, errno: int = EINVAL) -> None:
        super().__init__(f"cannot copy {path!r}: {reason}")
        self.path = path
        self.reason = reason
        self.errno = errno
