"""Variable references of commands."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firkin.adapters.pod_manifest.expansion import expanded

VARIABLES = {"A": "one", "B": "$(A)", "EMPTY": ""}


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("$(A)", "one"),
        ("-$(A)-$(A)-", "-one-one-"),
        ("$(EMPTY)", ""),
        ("$(B)", "$(A)"),
        ("$(UNKNOWN)", "$(UNKNOWN)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$one"),
        ("$$$$(A)", "$$(A)"),
        ("$A ${A} $", "$A ${A} $"),
        ("$(A", "$(A"),
        ("$(A $(A)", "$(A $(A)"),
        ("$()", "$()"),
        ("a$$b", "a$b"),
        ("$((1+2))", "$((1+2))"),
    ],
)
def test_references_are_replaced_as_kubernetes_does(text: str, result: str) -> None:
    assert expanded(text, VARIABLES) == result


@given(st.text(alphabet="$()Ax", max_size=12))
def test_text_without_references_stays(text: str) -> None:
    if "$" not in text:
        assert expanded(text, VARIABLES) == text
    assert expanded(text.replace("$", "$$"), VARIABLES) == text
