"""What an agent tells of a layer beside its answer is believed as far as it can be read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from firkin.adapters.agent_grpc.sandbox_context.layer_additions import told_layer_stages, told_replacements
from firkin.domain.context_additions import REPLACED_KEY, STAGES_KEY


def test_stages_and_replacements_are_told() -> None:
    metadata = ((STAGES_KEY, b'{"pull": 0.5, "write": 2}'), (REPLACED_KEY, b'{"device": 3}'))
    assert told_layer_stages(metadata) == {"pull": 0.5, "write": 2.0}
    assert told_replacements(metadata) == {"device": 3}


@pytest.mark.parametrize("metadata", [None, (), (("another", b'{"pull": 1}'),)])
def test_another_agent_tells_nothing(metadata: tuple[tuple[str, bytes], ...] | None) -> None:
    assert told_layer_stages(metadata) == {}
    assert told_replacements(metadata) == {}


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\xff",
        b"[]",
        b'{"pull": "long"}',
        b'{"pull": -1}',
        b'{"pull": 1e999}',
        b'{"a stage that nobody knows": 1}',
        b'{"pull": 1, "' + b"x" * 10_000 + b'": 1}',
        b"[" * 4000,
    ],
)
def test_what_cannot_be_read_or_believed_counts_as_nothing(value: bytes) -> None:
    assert told_layer_stages(((STAGES_KEY, value),)) == {}
    assert told_replacements(((REPLACED_KEY, value.replace(b"pull", b"")),)) in ({}, {"a stage that nobody knows": 1})


@given(some.binary(max_size=200))
def test_no_bytes_are_a_failure(value: bytes) -> None:
    told_layer_stages(((STAGES_KEY, value),))
    told_replacements(((REPLACED_KEY, value),))
