"""Output of a container that this command could not pass on, as on a full disk."""

from __future__ import annotations

import contextlib
import logging
from typing import Self

from .pod_end import tell

_LOG = logging.getLogger("firkin.streams")
_OWN_FAILURE = 125


class LostOutput(logging.Handler):
    """Tells on standard error of what is lost while it is entered, which only a log does otherwise."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._was_lost = False

    def __enter__(self) -> Self:
        _LOG.addHandler(self)
        return self

    def __exit__(self, *failure: object) -> None:
        _LOG.removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Take note; the threads of streams call it."""
        self._was_lost = True
        with contextlib.suppress(OSError):
            tell(f"error: {record.getMessage()}")

    def exit_code(self, code: int) -> int:
        """That of the command, unless it succeeded and its output did not arrive: nobody would take note of that."""
        return _OWN_FAILURE if self._was_lost and code == 0 else code
