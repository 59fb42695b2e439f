from __future__ import annotations

import asyncio
import os
import threading

import pytest

from firkin.adapters.cli.waking_thread import WakingThread

pytestmark = pytest.mark.real_time


async def test_all_that_is_written_is_read() -> None:
    reader, writer = os.pipe()
    writing, reading, found = WakingThread(), WakingThread(), bytearray()
    data = os.urandom(300_000)  # more than a pipe holds

    def write() -> None:
        try:
            writing.write(writer, data)
        finally:
            os.close(writer)

    def read() -> None:
        while piece := reading.read(reader, 1 << 18):
            found.extend(piece)

    async with asyncio.TaskGroup() as group:
        group.create_task(writing.done(write, "write"))
        group.create_task(reading.done(read, "read"))
    os.close(reader)
    assert found == data


@pytest.mark.parametrize("direction", ["read", "write"])
async def test_a_cancellation_wakes_a_thread_that_waits(direction: str) -> None:
    reader, writer = os.pipe()
    thread, has_begun, has_ended = WakingThread(), threading.Event(), threading.Event()

    def wait() -> None:
        has_begun.set()
        try:
            if direction == "read":
                thread.read(reader, 1)
            else:
                thread.write(writer, bytes(1 << 20))
        finally:
            has_ended.set()

    async with asyncio.TaskGroup() as group:
        working = group.create_task(thread.done(wait, "wait"))
        await asyncio.to_thread(has_begun.wait)
        working.cancel()
    assert working.cancelled()
    assert has_ended.is_set()
    os.close(reader)
    os.close(writer)


async def test_what_goes_wrong_in_the_thread_is_told() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    thread = WakingThread()
    with pytest.raises(BrokenPipeError):
        await thread.done(lambda: thread.write(writer, b"nobody reads this"), "write")
    os.close(writer)
