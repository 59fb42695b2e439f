"""Threads that may hang; an event that nobody sets stands for the disk."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from firkin.adapters.agent_grpc.file_thread import FileThread, connection_thread

# Of the clock, unlike what the loop waits: only what hangs takes so long.
DEADLINE_SECONDS = 60.0


class Disk:
    """Hangs until it is let go."""

    def __init__(self) -> None:
        self.reached, self.goes_on, self.done = threading.Event(), threading.Event(), threading.Event()

    def read(self) -> str:
        self.reached.set()
        assert self.goes_on.wait(DEADLINE_SECONDS)
        self.done.set()
        return "read"


@pytest.fixture
def disk() -> Iterator[Disk]:
    disk = Disk()
    yield disk
    disk.goes_on.set()


def nothing() -> None:
    """A disk does not heed who gives up."""


async def cancelled(thread: FileThread[str]) -> None:
    waiting = asyncio.ensure_future(thread.result())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert waiting.cancelled()


async def test_what_the_work_returns_or_raises_is_the_result() -> None:
    def fail() -> str:
        raise ValueError("no such thing")

    assert await FileThread(lambda: "done", nothing, "one").result() == "done"
    with pytest.raises(ValueError, match="no such thing"):
        await FileThread(fail, nothing, "two").result()


@pytest.mark.real_time
async def test_a_cancellation_has_the_thread_end(disk: Disk) -> None:
    await cancelled(FileThread(disk.read, disk.goes_on.set, "one"))
    assert disk.done.wait(DEADLINE_SECONDS)


async def test_a_cancellation_passes_while_the_disk_hangs(disk: Disk) -> None:
    thread = FileThread(disk.read, nothing, "one")
    await cancelled(thread)
    assert not disk.done.is_set()
    disk.goes_on.set()
    assert await thread.result() == "read"


async def test_who_is_to_give_up_tells_what_it_has_by_then_and_nothing_while_it_hangs(disk: Disk) -> None:
    assert await FileThread(disk.read, nothing, "hung").given_up() is None
    disk.goes_on.set()
    assert await FileThread(disk.read, nothing, "quick").result() == "read"


@pytest.mark.real_time
async def test_a_connection_is_broken_off_to_end_its_thread_which_has_a_descriptor_of_its_own() -> None:
    near, far = socket.socketpair()
    with near, far:
        thread = connection_thread(receiving(near), near)
        await thread.given_up()
        assert await thread.result() == b""
        assert far.recv(1) == b""


def receiving(near: socket.socket) -> Callable[[socket.socket], bytes]:
    def receive(own: socket.socket) -> bytes:
        assert own.fileno() != near.fileno()
        return own.recv(1)

    return receive


def test_a_thread_that_hangs_longer_than_its_loop_troubles_nobody(disk: Disk) -> None:
    async def left() -> None:
        FileThread(disk.read, nothing, "one")

    asyncio.run(left())
    before = threading.excepthook
    failures: list[object] = []
    threading.excepthook = failures.append
    try:
        disk.goes_on.set()
        for thread in threading.enumerate():
            if thread.name == "one":
                thread.join(DEADLINE_SECONDS)
    finally:
        threading.excepthook = before
    assert disk.done.is_set()
    assert failures == []
