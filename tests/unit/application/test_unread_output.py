"""Reading on in a reader's place: every byte once, in order, and never more than the bound."""

from __future__ import annotations

import asyncio

from firkin.adapters.memory.pipes import MemoryPipe, PipeSource
from firkin.application.unread_output import UnreadOutput


class _Source:
    """Has the chunks that a test gives it, one for each read."""

    def __init__(self) -> None:
        self.chunks: asyncio.Queue[bytes] = asyncio.Queue()
        self.taken = 0

    async def read(self, max_bytes: int = 65536) -> bytes:
        data = await self.chunks.get()
        self.taken += 1
        return data

    async def aclose(self) -> None:
        self.chunks.put_nowait(b"")


async def _rest(output: UnreadOutput) -> bytes:
    data = b""
    while piece := await output.read(3):
        data += piece
    return data


async def test_what_nobody_reads_is_kept_for_who_comes_later() -> None:
    source = _Source()
    output = UnreadOutput(source)
    for chunk in (b"one ", b"two ", b"three", b""):
        source.chunks.put_nowait(chunk)
    await output.keep(100)
    assert source.taken == 4
    assert await _rest(output) == b"one two three"
    assert await output.read() == b""


async def test_no_more_is_kept_than_the_bound_and_the_reader_goes_on_from_there() -> None:
    source = _Source()
    output = UnreadOutput(source)
    for chunk in (b"1234", b"5678", b"9", b""):
        source.chunks.put_nowait(chunk)
    await output.keep(5)
    assert source.taken == 2
    await output.keep(1)
    assert source.taken == 3
    assert await _rest(output) == b"123456789"


async def test_a_reader_who_waits_already_comes_first_and_may_go_away() -> None:
    source = _Source()
    output = UnreadOutput(source)
    async with asyncio.TaskGroup() as group:
        reader = group.create_task(output.read())
        await asyncio.sleep(0)
        keeper = group.create_task(output.keep(100))
        await asyncio.sleep(0)
        source.chunks.put_nowait(b"first")
        assert await reader == b"first"
        later = group.create_task(output.read())
        await asyncio.sleep(0)
        source.chunks.put_nowait(b"second")
        assert await later == b"second"
        source.chunks.put_nowait(b"")
        await keeper
    assert await output.read() == b""


async def test_a_reader_who_is_cancelled_loses_nothing() -> None:
    source = _Source()
    output = UnreadOutput(source)
    async with asyncio.TaskGroup() as group:
        keeper = group.create_task(output.keep(100))
        await asyncio.sleep(0)
        reader = group.create_task(output.read())
        await asyncio.sleep(0)
        reader.cancel()
        source.chunks.put_nowait(b"kept")
        source.chunks.put_nowait(b"")
        await keeper
    assert await _rest(output) == b"kept"


async def test_closing_ends_the_keeping() -> None:
    output = UnreadOutput(_Source())
    async with asyncio.TaskGroup() as group:
        keeper = group.create_task(output.keep(100))
        await asyncio.sleep(0)
        await output.aclose()
        await keeper
    assert await output.read() == b""


async def test_a_pipe_that_is_full_of_what_nobody_reads_lets_its_writer_go_on() -> None:
    pipe = MemoryPipe()
    output = UnreadOutput(PipeSource(pipe))
    async with asyncio.TaskGroup() as group:
        writer = group.create_task(pipe.write(bytes(10**6)))
        await asyncio.sleep(0)
        assert not writer.done()
        keeper = group.create_task(output.keep(2 * 10**6))
        await writer
        await pipe.close_writing()
        await keeper
    assert len(await output.read(2 * 10**6)) == 10**6
