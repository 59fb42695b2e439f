"""Data moves while a thread of the interpreter keeps its lock (GIL): the device needs neither."""

from __future__ import annotations

import ctypes
import os
import random
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from firkin._fast.vsock import VsockDevice

from .guest import Guest, accept
from .host import host_connection
from .packets import PAYLOAD
from .rings import DEADLINE_SECONDS

# Unlike those of CDLL, its functions keep the lock.
_HOLDING = ctypes.PyDLL(None)
_LONG_SECONDS = 1000.0
_STEP_MICROSECONDS = 1000


@contextmanager
def _lock_held() -> Iterator[None]:
    """Nobody else gets the lock, unless the block makes a call that releases it; a thread that wants it shows so."""
    seen: list[bytes] = []
    readable, writable = os.pipe()
    other = threading.Thread(target=lambda: seen.append(os.read(readable, 1)))
    before = sys.getswitchinterval()
    # Before it starts: so it lets go of the lock, and this thread goes on, only when it waits for the pipe. Otherwise
    # it could still ask for the lock, after the usual interval, when the block has begun.
    sys.setswitchinterval(_LONG_SECONDS)
    try:
        other.start()
        assert _HOLDING.write(writable, b"x", 1) == 1
        yield
        assert not seen
    finally:
        sys.setswitchinterval(before)
        os.close(writable)
        other.join(DEADLINE_SECONDS)
        os.close(readable)
    assert seen == [b"x"]


@pytest.mark.parametrize("size", [1, 100_000])
def test_data_reaches_the_guest_while_a_thread_keeps_the_interpreters_lock(
    device: VsockDevice, directory: Path, guest: Guest, size: int
) -> None:
    data = random.Random(size).randbytes(size)
    device.listen(1024)
    with host_connection(directory, 1024) as host:
        accept(guest, 1024)
        number, written, arrived = host.fileno(), 0, b""
        deadline = time.monotonic() + DEADLINE_SECONDS
        with _lock_held():
            while len(arrived) < size and time.monotonic() < deadline:
                # The rest when the socket is full, or nothing.
                written += max(_HOLDING.write(number, data[written:], size - written), 0)
                guest.poll()
                arrived = b"".join(packet.payload for packet in guest.packets if packet.operation == PAYLOAD)
                _HOLDING.usleep(_STEP_MICROSECONDS)
        assert arrived == data
