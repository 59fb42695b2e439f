"""Quantities of Kubernetes."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firkin.adapters.pod_manifest.quantity import byte_count, parsed_quantity, processors


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("0", Fraction(0)),
        ("100m", Fraction(1, 10)),
        ("0.5", Fraction(1, 2)),
        (".5", Fraction(1, 2)),
        ("5.", Fraction(5)),
        ("+1", Fraction(1)),
        ("-1.5", Fraction(-3, 2)),
        ("64Mi", Fraction(64 * 2**20)),
        ("1G", Fraction(10**9)),
        ("1k", Fraction(1000)),
        ("1Ki", Fraction(1024)),
        ("1e3", Fraction(1000)),
        ("1E3", Fraction(1000)),
        ("1E", Fraction(10**18)),
        ("12e-2", Fraction(12, 100)),
        ("0.1Gi", Fraction(2**30, 10)),
        ("3u", Fraction(3, 10**6)),
        ("7n", Fraction(7, 10**9)),
    ],
)
def test_a_quantity_is_exact(text: str, amount: Fraction) -> None:
    assert parsed_quantity(text) == amount


@pytest.mark.parametrize(
    "text",
    ["", ".", "m", "Mi", "1 Mi", " 1", "1mi", "1K", "1MB", "1_000", "0x10", "1e", "1e3Mi", "1e999", "nan", "inf",
     "--1", "1.2.3", "\u0661", "1" * 65],
)  # fmt: skip
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a quantity"):
        parsed_quantity(text)


@pytest.mark.parametrize(("text", "amount"), [("100m", 0.1), ("0.5", 0.5), ("2", 2.0), ("1e0", 1.0), ("1500m", 1.5)])
def test_processors_are_counted_in_thousandths(text: str, amount: float) -> None:
    assert processors(text) == amount


@pytest.mark.parametrize("text", ["0", "-1", "0.0001", "1u", "1n"])
def test_processors_are_positive_and_not_finer_than_a_thousandth(text: str) -> None:
    with pytest.raises(ValueError, match=r"must be more than 0|finer than 1m"):
        processors(text)


@pytest.mark.parametrize(
    ("text", "count"),
    [("1", 1), ("64Mi", 64 * 2**20), ("1.5Gi", 3 * 2**29), ("0.1Gi", 107374183), ("1e3", 1000), ("129M", 129_000_000)],
)
def test_a_part_of_a_byte_is_rounded_up(text: str, count: int) -> None:
    assert byte_count(text) == count


@pytest.mark.parametrize("text", ["400m", "1u", "1n"])
def test_thousandths_of_bytes_are_a_mistake(text: str) -> None:
    with pytest.raises(ValueError, match="fraction of a byte"):
        byte_count(text)


@pytest.mark.parametrize("text", ["0", "-1", "8Ei", "1e30"])
def test_bytes_are_positive_and_fit(text: str) -> None:
    with pytest.raises(ValueError, match="more than"):
        byte_count(text)


@given(st.text(max_size=80))
def test_any_text_is_a_quantity_or_a_value_error(text: str) -> None:
    for read in (parsed_quantity, processors, byte_count):
        try:
            read(text)
        except ValueError:
            continue


@given(st.integers(0, 10**15), st.sampled_from(["", "Ki", "Mi", "k", "M"]))
def test_whole_amounts_are_their_product(count: int, suffix: str) -> None:
    scale = {"": 1, "Ki": 2**10, "Mi": 2**20, "k": 10**3, "M": 10**6}[suffix]
    assert parsed_quantity(f"{count}{suffix}") == count * scale
