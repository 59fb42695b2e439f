"""Frames of zstd: where they end, and how much memory they ask for."""

from __future__ import annotations

import itertools

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from firkin._fast.zstd_frames import ZstdFrames

CONTENT = bytes(range(256)) * 300


def frame(window_log: int, *, states_size: bool, content: bytes = CONTENT) -> bytes:
    parameters = zstandard.ZstdCompressionParameters(window_log=window_log, write_content_size=states_size)
    compressor = zstandard.ZstdCompressor(compression_params=parameters)
    if states_size:
        return compressor.compress(content)
    writer = compressor.compressobj()
    return writer.compress(content) + writer.flush()


def followed(*pieces: bytes) -> ZstdFrames:
    frames = ZstdFrames()
    for piece in pieces:
        frames.feed(piece)
    return frames


@pytest.mark.parametrize("window_log", [10, 17, 20, 23, 25, 27])
def test_a_window_is_what_zstandard_says_it_is(window_log: int) -> None:
    blob = frame(window_log, states_size=False)
    assert followed(blob).window_bytes == zstandard.get_frame_parameters(blob).window_size == 2**window_log


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 65_791, 65_792, 70_000])
def test_a_frame_of_one_segment_asks_for_the_memory_of_its_content(size: int) -> None:
    blob = frame(20, states_size=True, content=b"x" * size)
    found = followed(blob)
    assert found.window_bytes == zstandard.get_frame_parameters(blob).window_size
    assert found.is_between


def test_a_content_of_which_eight_bytes_tell_the_size_is_understood() -> None:
    magic, single_segment_of_eight_bytes = bytes.fromhex("28b52ffd"), bytes([0b1110_0000])
    assert followed(magic + single_segment_of_eight_bytes + (2**40).to_bytes(8, "little")).window_bytes == 2**40


def test_the_largest_window_of_all_frames_counts() -> None:
    blobs = [frame(window_log, states_size=False) for window_log in (12, 22, 17)]
    skippable = bytes.fromhex("502a4d18") + (5).to_bytes(4, "little") + b"12345"
    found = followed(blobs[0], skippable, *blobs[1:])
    assert found.window_bytes == 2**22
    assert found.is_between


@given(st.lists(st.integers(min_value=0, max_value=400), max_size=6), st.booleans())
def test_frames_in_any_pieces_are_the_same_frames(cuts: list[int], states_size: bool) -> None:
    blob = frame(18, states_size=states_size) + frame(21, states_size=states_size)
    borders = [0, *sorted(min(cut, len(blob)) for cut in cuts), len(blob)]
    whole = followed(blob)
    found = followed(*(blob[start:end] for start, end in itertools.pairwise(borders)))
    assert (found.window_bytes, found.is_between) == (whole.window_bytes, whole.is_between)


def test_a_frame_that_is_cut_short_is_seen_at_every_byte() -> None:
    blob = frame(18, states_size=True, content=b"short")
    assert [end for end in range(len(blob) + 1) if followed(blob[:end]).is_between] == [0, len(blob)]
