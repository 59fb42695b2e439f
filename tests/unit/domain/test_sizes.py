from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firkin import Size
from firkin.errors import InvalidSize


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("64", 64),
        ("64B", 64),
        ("1k", 1000),
        ("1K", 1000),
        ("1Ki", 1024),
        ("1KiB", 1024),
        ("16Mi", 16 * 2**20),
        ("16 MiB", 16 * 2**20),
        ("16M", 16 * 10**6),
        ("1.5Gi", 3 * 2**29),
        ("0.5", 0),
        ("2TiB", 2 * 2**40),
        (" 8GB ", 8 * 10**9),
    ],
)
def test_a_size_is_read(text: str, size: int) -> None:
    assert Size.parse(text) == size


@pytest.mark.parametrize(
    "text",
    ["", "M", "1X", "-1", "1e3", "1..5", ".5", "0x10", "1 2", "\u0661", "9" * 5000, f"1.{'1' * 5000}", "8388608TiB"],
    ids=lambda text: text[:12],
)
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(InvalidSize):
        Size.parse(text)


def test_a_negative_size_is_refused() -> None:
    with pytest.raises(InvalidSize):
        Size(-1)


def test_the_units_are_binary() -> None:
    assert (Size.bytes(3), Size.kib(1), Size.mib(1), Size.gib(1), Size.tib(1)) == (3, 2**10, 2**20, 2**30, 2**40)


@given(st.integers(min_value=0, max_value=2**60))
def test_a_number_of_bytes_is_read_back(count: int) -> None:
    assert Size.parse(str(int(Size(count)))) == count


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1 KiB"), (1536, "1.5 KiB"), (16 * 2**20, "16 MiB"), (2**50, "1024 TiB")],
)
def test_a_size_is_written_for_people(size: int, text: str) -> None:
    assert str(Size(size)) == text
