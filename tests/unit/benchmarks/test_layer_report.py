"""When the benchmark of layers fails."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.layers import report
from benchmarks.layers.measuring import Cost, Rounds


def rounds(*seconds: float) -> Rounds:
    return Rounds([Cost(each, each, 2**20) for each in seconds])


RESULTS = {
    "case": {
        "firkin": rounds(2.0, 1.0, 3.0),
        "GNU tar": rounds(4.0, 3.0, 9.0),
        "inflate alone": rounds(1.5),
        "create alone": rounds(1.0),
    }
}


def test_ratios_are_of_the_rounds_that_were_disturbed_least() -> None:
    assert report.ratios(RESULTS) == {"case": 3.0}


@pytest.mark.parametrize(("committed", "failures"), [(3.0, 0), (3.74, 0), (3.76, 1), (1.0, 0)])
def test_a_fifth_less_than_the_committed_ratio_is_a_regression(tmp_path: Path, committed: float, failures: int) -> None:
    baseline = tmp_path / "baseline.json"
    baseline.write_text(json.dumps({"case": committed}))
    assert len(report.regressions(report.ratios(RESULTS), baseline)) == failures


def test_a_case_that_was_not_measured_is_a_regression(tmp_path: Path) -> None:
    baseline = tmp_path / "baseline.json"
    baseline.write_text(json.dumps({"case": 3.0, "another": 1.0}))
    assert report.regressions(report.ratios(RESULTS), baseline) == ["another: not measured"]


def test_the_table_and_the_document_tell_the_medians(tmp_path: Path) -> None:
    told = "\n".join(report.table(RESULTS))
    assert "  firkin                    2.000" in told
    assert json.loads(report.as_json(RESULTS, {}))["times the lower bound"] == {"case": 2.0 / 1.5}
