from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firkin.adapters.cli.prefixed_output import LONGEST_LINE_BYTES, LineSplitter, LineWriter, prefixes


def _all(splitter: LineSplitter, *pieces: bytes) -> bytes:
    return b"".join(map(splitter.feed, pieces)) + splitter.end()


def test_every_line_gets_the_prefix() -> None:
    assert _all(LineSplitter(b"a | "), b"one\ntwo\n") == b"a | one\na | two\n"


def test_a_partial_last_line_is_shown() -> None:
    assert _all(LineSplitter(b"a | "), b"one\ntw", b"o") == b"a | one\na | two\n"


def test_bytes_that_are_no_text_pass_unchanged() -> None:
    assert _all(LineSplitter(b"a | "), b"\xff\x00\r\n\xfe") == b"a | \xff\x00\r\na | \xfe\n"


def test_an_endless_line_is_shown_in_pieces() -> None:
    splitter = LineSplitter(b"")
    shown = b"".join(splitter.feed(b"x" * LONGEST_LINE_BYTES) for _ in range(4))
    assert len(shown) >= 2 * LONGEST_LINE_BYTES


@given(st.binary(max_size=60), st.lists(st.integers(0, 60), max_size=5))
def test_where_the_reads_end_does_not_matter(data: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    pieces = [data[begin:end] for begin, end in pairwise(edges)]
    assert _all(LineSplitter(b"p "), *pieces) == _all(LineSplitter(b"p "), data)


def test_prefixes_are_aligned_and_plain_where_no_terminal_is() -> None:
    reader, writer = os.pipe()
    try:
        assert prefixes(["web", "database"], writer) == {"web": b"web      | ", "database": b"database | "}
    finally:
        os.close(reader)
        os.close(writer)


async def _chunks(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


@pytest.mark.real_time
async def test_the_writer_writes_everything_before_it_is_left() -> None:
    reader, descriptor = os.pipe()
    try:
        writer = LineWriter(descriptor)
        async with writer.writing():
            await writer.copy(_chunks(b"one\ntw", b"o\nthree"), b"a | ")
        os.close(descriptor)
        assert os.read(reader, 4096) == b"a | one\na | two\na | three\n"
    finally:
        os.close(reader)


@pytest.mark.real_time
async def test_the_writer_waits_for_a_descriptor_that_somebody_made_non_blocking() -> None:
    reader, descriptor = os.pipe()
    os.set_blocking(descriptor, False)
    lines = b"line\n" * 100_000  # more than a pipe holds
    writer = LineWriter(descriptor)
    with os.fdopen(reader, "rb") as read_end:
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(asyncio.to_thread(read_end.read))
            try:
                async with writer.writing():
                    await writer.write(lines)
            finally:
                os.close(descriptor)
    assert reading.result() == lines


@pytest.mark.real_time
async def test_a_reader_that_went_away_ends_the_writing() -> None:
    reader, descriptor = os.pipe()
    os.close(reader)
    writer = LineWriter(descriptor)
    with pytest.raises(BaseExceptionGroup) as caught:
        async with writer.writing():
            await writer.copy(_chunks(*[b"line\n"] * 1000), b"")
    os.close(descriptor)
    assert caught.group_contains(BrokenPipeError)


@pytest.mark.real_time
async def test_what_takes_no_more_is_told_by_its_name() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    writer = LineWriter(full)
    with pytest.raises(BaseExceptionGroup) as caught:
        async with writer.writing():
            await writer.write(b"line\n")
    os.close(full)
    assert caught.group_contains(OSError, match=f"No space left on device: 'descriptor {full}'")
