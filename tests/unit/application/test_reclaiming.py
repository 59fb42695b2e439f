from __future__ import annotations

from firkin.adapters.memory import MemoryReclaimableSpace
from firkin.application.reclaiming import reclaimed
from firkin.domain.reclaiming import Reclaimable, ReclaimableKind

OLD = Reclaimable(ReclaimableKind.TEMPLATE, "old", 10, 1.0)
NEW = Reclaimable(ReclaimableKind.CACHED_LAYER, "new", 10, 2.0)
BLOB = Reclaimable(ReclaimableKind.BLOB, "blob", 10, 3.0)


class _TakenMeanwhile(MemoryReclaimableSpace):
    """An item that a pod begins to use while it is decided what goes."""

    async def items(self) -> tuple[Reclaimable, ...]:
        listed = await super().items()
        self.hold("old", "pod late uses it")
        return listed


async def test_all_spaces_share_one_budget() -> None:
    templates, layers = MemoryReclaimableSpace([OLD]), MemoryReclaimableSpace([NEW, BLOB])
    decisions = await reclaimed((templates, layers), 10)
    assert {one.item.identity: one.is_removed for one in decisions} == {"blob": True, "old": True, "new": False}
    assert (await templates.items(), await layers.items()) == ((), (NEW,))


async def test_a_dry_run_removes_nothing_and_tells_the_same() -> None:
    space = MemoryReclaimableSpace([OLD, NEW, BLOB])
    told = await reclaimed((space,), 10, dry_run=True)
    assert len(await space.items()) == 3
    assert await reclaimed((space,), 10) == told


async def test_what_came_into_use_meanwhile_stays_and_is_told() -> None:
    space = _TakenMeanwhile([OLD])
    (decision,) = await reclaimed((space,))
    assert (decision.is_removed, decision.reason) == (False, "pod late uses it")
    assert len(await space.items()) == 1
