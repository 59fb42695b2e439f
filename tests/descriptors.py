"""The descriptors of this process, to compare with later."""

from __future__ import annotations

import asyncio
import gc
import os

_LOOKS = 3000
_LOOK_SECONDS = 0.02


def open_descriptors() -> frozenset[str]:
    """Each open descriptor by number and what it leads to, after what nobody refers to any more was closed."""
    gc.collect()
    return listed_descriptors()


def listed_descriptors() -> frozenset[str]:
    """The same, with those that only garbage keeps open: quick enough to be asked hundreds of times."""
    found = set()
    for number in os.listdir("/proc/self/fd"):
        try:
            found.add(f"{number} -> {os.readlink(f'/proc/self/fd/{number}')}")
        except FileNotFoundError:
            # The directory that was listed, which is closed again.
            continue
    return frozenset(found)


async def all_closed_since(earlier: frozenset[str]) -> None:
    """Wait until none is open any more that was not open at `earlier`: gRPC closes in threads of its own.

    Raises:
        AssertionError: some stay open, with what they lead to.
    """
    for _ in range(_LOOKS):
        if not opened_since(earlier):
            return
        await asyncio.sleep(_LOOK_SECONDS)
    raise AssertionError(f"still open: {sorted(opened_since(earlier))}")


def opened_since(earlier: frozenset[str]) -> frozenset[str]:
    """The descriptors that were not open at `earlier`.

    Sets are compared, not counts: another test's connection, which gRPC closes in a thread of its own, may go
    meanwhile.
    """
    # Garbage need only be collected when there is a descriptor that it might keep open.
    return listed_descriptors() - earlier and open_descriptors() - earlier
