"""Variable references of commands."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firkin.adapters.pod_manifest.expansion import expanded, expanded_environment

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


def test_a_value_sees_the_variables_above_it_only() -> None:
    pairs = [("LATE", "$(BASE)"), ("BASE", "/srv"), ("LOG", "$(BASE)/log"), ("RAW", "$$(BASE)")]

    assert expanded_environment(pairs) == (
        ("LATE", "$(BASE)"),
        ("BASE", "/srv"),
        ("LOG", "/srv/log"),
        ("RAW", "$(BASE)"),
    )


def test_the_last_of_equal_names_counts() -> None:
    assert expanded_environment([("A", "1"), ("A", "$(A)2")]) == (("A", "12"),)


@given(st.text(alphabet="$()Ax", max_size=12))
def test_text_without_references_stays(text: str) -> None:
    if "$" not in text:
        assert expanded(text, VARIABLES) == text
    assert expanded(text.replace("$", "$$"), VARIABLES) == text
