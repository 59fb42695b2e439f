"""What every place with leftovers promises (ports/leftovers.py)."""

from __future__ import annotations

from ..stocked import StockedLeftovers


async def test_where_nobody_was_killed_nothing_is_found(firkin_left_behind: StockedLeftovers) -> None:
    assert await firkin_left_behind.place.found() == ()


async def test_looking_at_leftovers_touches_nothing(firkin_left_behind: StockedLeftovers) -> None:
    for _ in range(2):
        await firkin_left_behind.add()
    found = await firkin_left_behind.place.found()
    assert await firkin_left_behind.place.found() == found
    assert len({(one.kind, one.name) for one in found}) == 2
    assert all(one.kind and one.name for one in found)


async def test_what_nobody_owns_is_removed_alone_and_twice_is_fine(firkin_left_behind: StockedLeftovers) -> None:
    for _ in range(2):
        await firkin_left_behind.add()
    first, second = await firkin_left_behind.place.found()
    for _ in range(2):
        assert await firkin_left_behind.place.remove(first) == ""
    assert await firkin_left_behind.place.found() == (second,)


async def test_what_came_to_life_after_it_was_found_is_left_alone(firkin_left_behind: StockedLeftovers) -> None:
    await firkin_left_behind.add()
    (leftover,) = await firkin_left_behind.place.found()
    with firkin_left_behind.revived(leftover):
        assert await firkin_left_behind.place.found() == ()
        assert await firkin_left_behind.place.remove(leftover) == ""
    (found,) = await firkin_left_behind.place.found()
    assert (found.kind, found.name) == (leftover.kind, leftover.name)
    assert await firkin_left_behind.place.remove(found) == ""
    assert await firkin_left_behind.place.found() == ()
