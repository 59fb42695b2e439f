"""The descriptors of this process, to compare with later."""

from __future__ import annotations

import gc
import os


def open_descriptors() -> frozenset[str]:
    """Each open descriptor by number and what it leads to, after what nobody refers to any more was closed."""
    gc.collect()
    found = set()
    for number in os.listdir("/proc/self/fd"):
        try:
            found.add(f"{number} -> {os.readlink(f'/proc/self/fd/{number}')}")
        except FileNotFoundError:
            # The directory that was listed, which is closed again.
            continue
    return frozenset(found)


def opened_since(earlier: frozenset[str]) -> frozenset[str]:
    """The descriptors that were not open at `earlier`.

    Sets are compared, not counts: another test's connection, which gRPC closes in a thread of its own, may go
    meanwhile.
    """
    return open_descriptors() - earlier
