"""The threads that read files for devices."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

from .rings import DEADLINE_SECONDS

READERS_MAX = 4


def readers() -> int:
    """How many there are."""
    count = 0
    for name in Path("/proc/self/task").glob("*/comm"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            count += name.read_text() == "vsock-reader\n"
    return count


def wait_until_no_reader_is_left() -> None:
    """A device waits for them, but not for long."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while readers():
        assert time.monotonic() < deadline, "a reader is left"
        os.sched_yield()
