"""What every place with reclaimable space promises (ports/reclaimable_space.py)."""

from __future__ import annotations

from ..stocked import StockedSpace


async def test_what_nobody_uses_is_removed_and_twice_is_fine(firkin_reclaimable_space: StockedSpace) -> None:
    item, other = await firkin_reclaimable_space.add(), await firkin_reclaimable_space.add()
    space = firkin_reclaimable_space.space
    for _ in range(2):
        assert (await space.reclaim(item)).held == ""
    assert [left.identity for left in await space.items()] == [other.identity]


async def test_looking_changes_nothing(firkin_reclaimable_space: StockedSpace) -> None:
    item = await firkin_reclaimable_space.add()
    space = firkin_reclaimable_space.space
    assert await space.items() == await space.items()
    assert [found.identity for found in await space.items()] == [item.identity]
    assert item.size_bytes > 0


async def test_what_came_into_use_meanwhile_stays_and_is_told_as_held(firkin_reclaimable_space: StockedSpace) -> None:
    item, other = await firkin_reclaimable_space.add(), await firkin_reclaimable_space.add()
    space = firkin_reclaimable_space.space
    async with firkin_reclaimable_space.used(item):
        told = await space.reclaim(item)
        assert (told.identity, told.held != "") == (item.identity, True)
        assert {left.identity for left in await space.items()} == {item.identity, other.identity}
    for left in (item, other):
        assert (await space.reclaim(left)).held == ""
    assert await space.items() == ()
