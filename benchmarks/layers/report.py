"""The results: as a table, as JSON, and against the committed ratios."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from .measuring import Rounds
from .tools import CREATE, FIRKIN, INFLATE

TAR = "GNU tar"
REGRESSION = 0.2
BASELINE = Path(__file__).with_name("baseline.json")

Results = Mapping[str, Mapping[str, Rounds]]
"""By case ("gzip x 1 on tmpfs") and tool."""


def table(results: Results) -> list[str]:
    """A line for each case and tool; ratios say how many times as long as firkin the tool takes."""
    lines = [f"{'':24}{'seconds':>9}{'CPU':>8}{'MiB':>7}{'times firkin':>14}"]
    for case, costs in results.items():
        lines.append(case)
        ours = costs[FIRKIN].median.seconds
        for tool, rounds in sorted(costs.items(), key=lambda each: each[1].median.seconds):
            seconds, cpu, peak = rounds.median
            lines.append(f"  {tool:22}{seconds:9.3f}{cpu:8.2f}{peak / 2**20:7.0f}{seconds / ours:14.2f}")
        if CREATE in costs:
            bound = lower_bound(costs)
            lines.append(f"  {'(lower bound)':22}{bound:9.3f}{'':15}{bound / ours:14.2f}")
    return lines


def lower_bound(costs: Mapping[str, Rounds]) -> float:
    """The slower of inflating alone and creating alone, in seconds."""
    return max(costs[INFLATE].median.seconds, costs[CREATE].median.seconds)


def ratios(results: Results) -> dict[str, float]:
    """GNU tar's seconds of CPU as multiples of firkin's, by case: the least of all rounds of each.

    Wall time is told but not judged: who else is on the machine changes it by more than what is looked for, as firkin
    keeps two cores busy and GNU tar does not. What others take of the caches adds to CPU time, and takes nothing away.
    """
    return {case: costs[TAR].least_cpu_seconds / costs[FIRKIN].least_cpu_seconds for case, costs in results.items()}


def regressions(measured: Mapping[str, float], baseline: Path = BASELINE) -> list[str]:
    """The ratios that are by more than a fifth below the committed ones."""
    committed: dict[str, float] = json.loads(baseline.read_text())
    lines = [f"{case}: not measured" for case in committed.keys() - measured.keys()]
    for case, ratio in measured.items():
        least = committed.get(case, 0) * (1 - REGRESSION)
        if ratio < least:
            lines.append(f"{case}: GNU tar takes {ratio:.2f} times the CPU, and it was {committed[case]:.2f} times")
    return lines


def as_json(results: Results, others: Mapping[str, float]) -> str:
    """Everything that was measured."""
    document = {
        "rounds": {
            case: {tool: [cost._asdict() for cost in rounds.costs] for tool, rounds in costs.items()}
            for case, costs in results.items()
        },
        "medians": {
            case: {tool: rounds.median._asdict() for tool, rounds in costs.items()} for case, costs in results.items()
        },
        "times as long as firkin": {
            case: {tool: each.median.seconds / costs[FIRKIN].median.seconds for tool, each in costs.items()}
            for case, costs in results.items()
        },
        "times the lower bound": {
            case: costs[FIRKIN].median.seconds / lower_bound(costs) for case, costs in results.items()
        },
        "others": dict(others),
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
