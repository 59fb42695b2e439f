"""Amounts of bytes."""

from __future__ import annotations

import re
from typing import Self

from .errors import InvalidSize

_UNITS = {
    "": 1, "b": 1,
    "k": 10**3, "kb": 10**3, "m": 10**6, "mb": 10**6, "g": 10**9, "gb": 10**9, "t": 10**12, "tb": 10**12,
    "ki": 2**10, "kib": 2**10, "mi": 2**20, "mib": 2**20, "gi": 2**30, "gib": 2**30, "ti": 2**40, "tib": 2**40,
}  # fmt: skip
_NAMES = ("B", "KiB", "MiB", "GiB", "TiB")
_TEXT = re.compile(r"(\d{1,30})(?:\.(\d{1,30}))?\s*([a-z]*)", re.ASCII | re.IGNORECASE)
_TEXT_LIMIT = 2**63


class Size(int):
    """A number of bytes, 0 or more. `Size.mib(16)` and `Size.parse("16Mi")` are the same."""

    __slots__ = ()

    def __new__(cls, size_bytes: int) -> Self:
        """Check that the number of bytes is not negative.

        Raises:
            InvalidSize: it is.
        """
        if size_bytes < 0:
            raise InvalidSize(size_bytes)
        return super().__new__(cls, size_bytes)

    @classmethod
    def bytes(cls, count: int) -> Self:
        """`count` bytes."""
        return cls(count)

    @classmethod
    def kib(cls, count: int) -> Self:
        """`count` times 1,024 bytes."""
        return cls(count * 2**10)

    @classmethod
    def mib(cls, count: int) -> Self:
        """`count` times 1,048,576 bytes."""
        return cls(count * 2**20)

    @classmethod
    def gib(cls, count: int) -> Self:
        """`count` times 2**30 bytes."""
        return cls(count * 2**30)

    @classmethod
    def tib(cls, count: int) -> Self:
        """`count` times 2**40 bytes."""
        return cls(count * 2**40)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `64`, `64MiB`, `64Mi` (binary) or `64M`, `64MB` (decimal); fractions are rounded down.

        Raises:
            InvalidSize: the text is none of these, or more than a file can have.
        """
        match = _TEXT.fullmatch(text.strip())
        unit = _UNITS.get(match[3].lower()) if match else None
        if match is None or unit is None:
            raise InvalidSize(text)
        fraction = match[2] or ""
        size_bytes = int(match[1] + fraction) * unit // 10 ** len(fraction)
        if size_bytes >= _TEXT_LIMIT:
            raise InvalidSize(text)
        return cls(size_bytes)

    def __str__(self) -> str:
        power = next((n for n, _ in enumerate(_NAMES) if self < 1024 ** (n + 1)), len(_NAMES) - 1)
        amount = self / 1024**power
        return f"{amount:.0f} {_NAMES[power]}" if amount == int(amount) else f"{amount:.1f} {_NAMES[power]}"
