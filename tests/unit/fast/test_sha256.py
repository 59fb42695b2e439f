"""One file over both twins of the pair of hashes."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firkin._fast import _sha256_py, sha256

pieces = st.lists(st.tuples(st.binary(max_size=300), st.binary(max_size=300)), max_size=8)
"""What comes of each of the two streams, in turn."""


class Pairs:
    """The twins that can be made here."""

    @staticmethod
    def all() -> list[sha256.Sha256Pair | _sha256_py.Sha256Pair]:
        compiled = [sha256.Sha256Pair()] if sha256.is_supported() else []
        return [_sha256_py.Sha256Pair(), *compiled]


def digests(*streams: bytes) -> tuple[str, ...]:
    return tuple(hashlib.sha256(stream).hexdigest() for stream in streams)


def test_without_its_instructions_the_compiled_pair_cannot_be_made() -> None:
    if sha256.is_supported():
        assert sha256.Sha256Pair().hexdigests() == digests(b"", b"")
    else:
        with pytest.raises(RuntimeError, match="no instructions"):
            sha256.Sha256Pair()


@pytest.mark.parametrize("first", [*range(140), 4096, 65_537])
def test_every_size_is_hashed_as_hashlib_does(first: int) -> None:
    one = bytes(index * 7 % 251 for index in range(first))
    for second in (0, 1, 63, 64, 65, 1000, first):
        other = bytes(index * 11 % 241 for index in range(second))
        for pair in Pairs.all():
            pair.update(one, other)
            assert pair.hexdigests() == digests(one, other)


@given(pieces)
def test_pieces_of_any_size_are_hashed_as_their_whole(given_pieces: list[tuple[bytes, bytes]]) -> None:
    first = b"".join(piece for piece, _ in given_pieces)
    second = b"".join(piece for _, piece in given_pieces)
    for pair in Pairs.all():
        for piece in given_pieces:
            pair.update(*piece)
        assert pair.hexdigests() == digests(first, second)


@given(pieces)
def test_digests_may_be_asked_for_at_any_time(given_pieces: list[tuple[bytes, bytes]]) -> None:
    for pair in Pairs.all():
        first = second = b""
        for piece in given_pieces:
            pair.update(*piece)
            first, second = first + piece[0], second + piece[1]
            assert pair.hexdigests() == digests(first, second)


def test_more_than_the_length_field_of_half_a_word_is_counted() -> None:
    """The number of bits is in eight bytes: 2**29 bytes are the first whose number needs the upper four."""
    piece = bytes(2**20)
    expected = hashlib.sha256()
    pair = _sha256_py.Sha256Pair() if not sha256.is_supported() else sha256.Sha256Pair()
    for _ in range(2**9):
        expected.update(piece)
        pair.update(piece, b"")
    assert pair.hexdigests() == (expected.hexdigest(), digests(b"")[0])
