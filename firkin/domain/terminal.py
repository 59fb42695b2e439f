"""Pseudo terminals of processes."""

from __future__ import annotations

import msgspec

from .errors import InvalidTerminalSize

LARGEST_SIDE = 65535
"""The kernel keeps each side of a terminal in 16 bits."""


class TerminalSize(msgspec.Struct, frozen=True):
    """How large a terminal is, in characters; a side of 0 is one that nobody knows (ioctl_tty(2)).

    Raises:
        InvalidTerminalSize: a side is negative or more than 65535.
    """

    columns: int = 80
    rows: int = 24

    def __post_init__(self) -> None:
        if not (0 <= self.columns <= LARGEST_SIDE and 0 <= self.rows <= LARGEST_SIDE):
            raise InvalidTerminalSize(self.columns, self.rows)
