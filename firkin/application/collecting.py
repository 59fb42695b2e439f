"""Removing what killed processes of firkin left behind."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from firkin.domain.errors import FirkinError
from firkin.ports.leftovers import Leftover, Leftovers


class Collected(msgspec.Struct, frozen=True):
    """What became of one leftover: `problem` is why it is still there, "" when it is gone."""

    leftover: Leftover
    problem: str = ""


async def collected(places: Sequence[Leftovers], *, dry_run: bool = False) -> tuple[Collected, ...]:
    """Remove all leftovers, place by place; a dry run only tells what there is."""
    results: list[Collected] = []
    for place in places:
        # A place is looked at after the one before it was tidied up: what runs goes before what it used.
        found = await place.found()
        results += [Collected(one, "" if dry_run else await _problem(place, one)) for one in found]
    return tuple(results)


async def _problem(place: Leftovers, leftover: Leftover) -> str:
    try:
        return await place.remove(leftover)
    except (FirkinError, OSError) as error:
        return str(error)
