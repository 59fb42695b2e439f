"""What killed processes left behind, in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from firkin.ports.leftovers import Leftover

from .faults import Faults


class MemoryLeftovers:
    """Keeps the port Leftovers with a list; a test may let one come to life at any time."""

    def __init__(self, left: Iterable[Leftover] = (), faults: Faults | None = None) -> None:
        self._left = list(left)
        self._living: list[Leftover] = []
        self._faults = faults or Faults()

    def add(self, *left: Leftover) -> None:
        """Let there be more from now on."""
        self._left += left

    @contextmanager
    def revived(self, leftover: Leftover) -> Iterator[None]:
        """Let somebody own it meanwhile."""
        self._living.append(leftover)
        try:
            yield
        finally:
            self._living.remove(leftover)

    async def found(self) -> tuple[Leftover, ...]:
        """All that nobody owns."""
        await self._faults.reach("leftovers.found")
        return tuple(one for one in self._left if one not in self._living)

    async def remove(self, leftover: Leftover) -> str:
        """Remove one that nobody owns."""
        await self._faults.reach("leftovers.remove")
        if leftover in self._left and leftover not in self._living:
            self._left.remove(leftover)
        return ""
