"""What is told beside an answer, by agents that nobody trusts."""

from __future__ import annotations

import pytest

from firkin.adapters.agent_grpc.sandbox_context.told_metadata import told

KEY = "firkin-left-out-bin"


def test_a_value_is_found_by_its_key() -> None:
    assert told((("other", "x"), (KEY, b'["socket: left out"]')), KEY, list[str]) == ["socket: left out"]


@pytest.mark.parametrize(
    "value",
    [b"", b"no JSON", b"{}", b"[7]", b'["' + b"x" * 5000 + b'"]', b"[" * 4000, b'["\xff"]'],
    ids=["empty", "words", "object", "numbers", "too long", "too deep", "no UTF-8"],
)
def test_what_cannot_be_read_is_nothing(value: bytes) -> None:
    assert told(((KEY, value),), KEY, list[str]) is None


def test_without_metadata_nothing_is_told() -> None:
    assert told(None, KEY, list[str]) is None
