"""What takes space and can be made again."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from firkin.domain.reclaiming import Reclaimable


@runtime_checkable
class ReclaimableSpace(Protocol):
    """One place with things that can be removed without losing anything."""

    async def items(self) -> tuple[Reclaimable, ...]:
        """All there is, with what is in use marked as held."""
        ...

    async def reclaim(self, item: Reclaimable) -> Reclaimable:
        """Remove one item; twice is fine. When it came into use meanwhile, it stays and is returned as held."""
        ...
