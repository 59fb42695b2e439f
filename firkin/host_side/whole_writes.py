"""Writing all of something to a descriptor of the caller, however he has set it up."""

from __future__ import annotations

import os
import select


def write_whole(descriptor: int, data: bytes) -> None:
    """Write everything, waiting where there is no room, also on a descriptor that somebody made non-blocking.

    Raises:
        OSError: it takes no more.
    """
    left = memoryview(data)
    while left:
        try:
            left = left[os.write(descriptor, left) :]
        except BlockingIOError:
            poller = select.poll()
            poller.register(descriptor, select.POLLOUT)
            poller.poll()
