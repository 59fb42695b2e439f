"""The end of a process's input, behind every byte that the host sent before it."""

from __future__ import annotations

import asyncio
from functools import partial

from .relays import Relay

# Several short looks: of one long wait a sandbox that did not run meanwhile would see nothing but its end.
_LOOKS = 10


def close_behind_queued(relay: Relay, underway_seconds: float) -> None:
    """Close an input once it was handed on, however slowly the process reads; returns at once.

    What waits stays where it is, in the kernel's bounded buffers. A process that never reads has its input closed
    when it ends.

    `underway_seconds` is how long bytes that the host has written may still be on their way without any arriving.
    """
    looks = _LOOKS if underway_seconds > 0 else 0
    relay.drained().add_done_callback(lambda _: _look_again(relay, underway_seconds, looks))


def _look_again(relay: Relay, underway_seconds: float, looks: int) -> None:
    if looks == 0:
        relay.close()
        return
    look = partial(_look, relay, underway_seconds, looks, relay.moved_bytes)
    asyncio.get_running_loop().call_later(underway_seconds / _LOOKS, look)


def _look(relay: Relay, underway_seconds: float, looks: int, moved_bytes: int) -> None:
    if relay.moved_bytes == moved_bytes and relay.drained().done():
        _look_again(relay, underway_seconds, looks - 1)
    else:
        close_behind_queued(relay, underway_seconds)
