"""What every byte stream promises (ports/streams.py)."""

from __future__ import annotations

import asyncio
import os

import pytest

from ..opened_agent import same_bytes
from ..stocked import StreamMaker

_MORE_THAN_ANY_PIPE = 4 * 2**20


async def test_every_byte_arrives_in_order_and_then_the_end(firkin_streams: StreamMaker) -> None:
    sink, source = firkin_streams.opened()
    data = os.urandom(_MORE_THAN_ANY_PIPE)

    async def write() -> None:
        await sink.write(data[:1])
        await sink.write(data[1:])
        await sink.aclose()

    received = bytearray()
    async with asyncio.TaskGroup() as group:
        group.create_task(write())
        while piece := await source.read(1000):
            assert len(piece) <= 1000
            received += piece
    assert same_bytes(received, data)
    assert await source.read() == b""


async def test_a_writer_waits_while_nobody_reads(firkin_streams: StreamMaker) -> None:
    sink, source = firkin_streams.opened()
    writing = asyncio.ensure_future(sink.write(bytes(_MORE_THAN_ANY_PIPE)))
    await asyncio.sleep(0.05)
    assert not writing.done()
    left = _MORE_THAN_ANY_PIPE
    while left:
        left -= len(await source.read())
    await writing


async def test_a_reader_waits_while_nobody_writes_and_may_be_cancelled(firkin_streams: StreamMaker) -> None:
    sink, source = firkin_streams.opened()
    reading = asyncio.ensure_future(source.read())
    await asyncio.sleep(0.02)
    assert not reading.done()
    reading.cancel()
    await asyncio.wait([reading])
    await sink.write(b"nothing was lost")
    assert await source.read() == b"nothing was lost"


async def test_who_writes_to_a_reader_that_has_left_is_told(firkin_streams: StreamMaker) -> None:
    sink, source = firkin_streams.opened()
    await source.aclose()
    await source.aclose()
    for _ in range(2):
        with pytest.raises(BrokenPipeError):
            await sink.write(bytes(_MORE_THAN_ANY_PIPE))


async def test_closing_twice_is_fine_and_ends_once(firkin_streams: StreamMaker) -> None:
    sink, source = firkin_streams.opened()
    await sink.write(b"x")
    await sink.aclose()
    await sink.aclose()
    assert await source.read() == b"x"
    assert await source.read() == b""
