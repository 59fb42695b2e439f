"""What stages tell of a piece of work."""

from __future__ import annotations

import pytest

from firkin.application.stages import Stages
from firkin.domain.errors import BlobCorrupt

ZEROS = "sha256:" + "0" * 64


def test_what_others_have_measured_of_a_stage_counts_as_told_and_the_rest_as_the_stage() -> None:
    stages, parts = Stages(), dict[str, float]()
    for _ in range(2):
        with stages.stage("pull", parts):
            parts.update({"hash": 2000.0, "inflate": 1000.0})
    # No more time than the body has taken is left for the stage itself.
    assert stages.seconds == {"pull": 0.0, "hash": 4000.0, "inflate": 2000.0}


def test_a_stage_that_is_among_what_is_told_has_the_time_that_is_told() -> None:
    stages, parts = Stages(), dict[str, float]()
    with stages.stage("write", parts):
        parts.update({"write": 5.0, "inflate": 7.0})
    assert stages.seconds == {"write": 5.0, "inflate": 7.0}


def test_an_error_tells_the_innermost_stage_and_all_seconds_until_then() -> None:
    stages = Stages()
    with stages.stage("pull"):
        pass
    with pytest.raises(BlobCorrupt) as raised, stages.stage("pull", {"hash": 3.0}):
        raise BlobCorrupt(ZEROS, ZEROS).in_stage("hash")
    assert (raised.value.failed_stage, raised.value.stage_seconds["hash"]) == ("hash", 3.0)
    assert list(raised.value.stage_seconds) == ["pull", "hash"]
