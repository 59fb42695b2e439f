from __future__ import annotations

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firkin.adapters.cli.detach_keys import DEFAULT_DETACH_KEYS, DetachKeys, DetachKeysType

PQ = b"\x10\x11"


def test_keys_are_written_as_docker_writes_them() -> None:
    read = DetachKeysType().convert
    assert read(DEFAULT_DETACH_KEYS, None, None) == PQ
    assert read("a,ctrl-A,ctrl-@,ctrl-],ctrl-_", None, None) == b"a\x01\x00\x1d\x1f"
    assert read("", None, None) == b""


@pytest.mark.parametrize("text", ["ctrl-", "ctrl-1", "ab", "a,,b", "é", "ctrl-ab"])
def test_other_words_are_no_keys(text: str) -> None:
    with pytest.raises(click.BadParameter):
        DetachKeysType().convert(text, None, None)


def test_a_beginning_is_held_back_until_it_is_known_what_it_becomes() -> None:
    keys = DetachKeys(PQ)
    assert keys.feed(b"a\x10") == (b"a", False)
    assert keys.feed(b"b") == (b"\x10b", False)
    assert keys.feed(b"\x10\x10") == (b"\x10", False)
    assert keys.feed(b"\x11after") == (b"", True)


def test_a_sequence_that_begins_inside_another_attempt_is_found() -> None:
    assert DetachKeys(b"aab").feed(b"aaab") == (b"a", True)


def test_no_keys_never_detach() -> None:
    assert DetachKeys(b"").feed(PQ) == (PQ, False)


@given(
    st.lists(st.binary(max_size=5).map(lambda data: bytes(byte % 3 for byte in data))),
    st.sampled_from([b"\0\0\1", b"\1", b"\0\1\0"]),
)
def test_nothing_is_lost_or_reordered_however_it_arrives(pieces: list[bytes], sequence: bytes) -> None:
    keys, typed, passed, is_detached = DetachKeys(sequence), b"".join(pieces), b"", False
    for piece in pieces:
        more, is_detached = keys.feed(piece)
        passed += more
        if is_detached:
            break
    at = typed.find(sequence)
    assert is_detached == (at >= 0)
    if is_detached:
        assert passed == typed[:at]
    else:
        held = len(typed) - len(passed)
        assert typed.startswith(passed)
        assert typed[len(passed) :] == sequence[:held]
