"""Giving space back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from firkin.domain.reclaiming import Reclaimable, Reclaiming, planned_reclaiming
from firkin.ports.reclaimable_space import ReclaimableSpace


async def reclaimed(
    spaces: Sequence[ReclaimableSpace], keep_bytes: int = 0, *, dry_run: bool = False
) -> tuple[Reclaiming, ...]:
    """Remove what can be made again until at most `keep_bytes` of it are left, and tell what became of each item.

    What is in use stays, also what came into use after it was looked at. A dry run removes nothing, and tells what
    would be removed.
    """
    listed = await asyncio.gather(*(space.items() for space in spaces))
    homes = [(item, space) for items, space in zip(listed, spaces, strict=True) for item in items]
    plan = planned_reclaiming((item for item, _ in homes), keep_bytes)
    if dry_run:
        return plan
    return tuple([await _done(decision, homes) for decision in plan])


async def _done(decision: Reclaiming, homes: Sequence[tuple[Reclaimable, ReclaimableSpace]]) -> Reclaiming:
    if not decision.is_removed:
        return decision
    space = next(space for item, space in homes if item is decision.item)
    result = await space.reclaim(decision.item)
    return Reclaiming(result, False, result.held) if result.held else decision
