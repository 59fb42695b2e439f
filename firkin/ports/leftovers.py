"""What processes of firkin left behind that were killed before they could tidy up."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import msgspec


class Leftover(msgspec.Struct, frozen=True):
    """One thing that nobody owns any more.

    Attributes:
        kind: what it is: `sandbox`, `store`, `pod`, ...
        name: tells it from others of its kind; a path where it has one.
        detail: what else is known of it, in words.
    """

    kind: str
    name: str
    detail: str = ""


@runtime_checkable
class Leftovers(Protocol):
    """One place where they may be found; the locks of living processes decide what is left over."""

    async def found(self) -> tuple[Leftover, ...]:
        """Look, and touch nothing."""
        ...

    async def remove(self, leftover: Leftover) -> str:
        """Remove one; returns why it is still there, "" when it is gone. Twice is fine.

        What came to life after it was found is left alone, and counts as gone.
        """
        ...
