from __future__ import annotations

import click
import pytest

from firkin.adapters.cli.layer_limits import LAYER_LIMITS, LayerLimitType


def test_bytes_have_units_and_counts_are_numbers() -> None:
    read = LayerLimitType()
    assert read("tar-bytes=2GiB") == ("tar_bytes", 2 * 2**30)
    assert read("entries=100000") == ("entries", 100_000)


@pytest.mark.parametrize("limit", LAYER_LIMITS)
@pytest.mark.parametrize(
    "number", ["", "0", "-1", "many", "4611686018427387905", "9" * 20, "9" * 5000], ids=lambda text: text[:12]
)
def test_what_no_layer_can_be_limited_to_is_refused(limit: str, number: str) -> None:
    with pytest.raises(click.BadParameter):
        LayerLimitType()(f"{limit}={number}")
