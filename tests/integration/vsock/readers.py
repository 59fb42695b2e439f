"""The threads that read files for devices."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

from .rings import DEADLINE_SECONDS

READERS_MAX = 4


def readers() -> frozenset[str]:
    """The kernel's numbers of those that there are, of whatever device."""
    found = set()
    for name in Path("/proc/self/task").glob("*/comm"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if name.read_text() == "vsock-reader\n":
                found.add(name.parent.name)
    return frozenset(found)


def wait_until_no_reader_is_left(earlier: frozenset[str]) -> None:
    """But those of earlier: a device waits for its own, but not for long."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while readers() - earlier:
        assert time.monotonic() < deadline, "a reader is left"
        os.sched_yield()
