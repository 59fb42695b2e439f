"""How many times as long as a peer's something of firkin's may take, in the run that measured both.

These are no goals: they are far above what is usual, so that they hold on busy machines, and tell of what is broken.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .percentiles import Measured, percentile


class Bound(NamedTuple):
    """A benchmark's median may be at most `times` its peer's."""

    name: str
    peer: str
    times: float


BOUNDS = (
    Bound("test_exec", "test_podman_exec", 3),
    Bound("test_exec", "test_crun_exec", 15),
    Bound("test_100_execs", "test_crun_100_execs", 15),
    Bound("test_output", "test_crun_output", 10),
    Bound("test_attach", "test_podman_exec", 3),
)


def exceeded_bounds(bounds: Sequence[Bound], measured: Sequence[Measured]) -> list[str]:
    """A line per bound that is exceeded, or cannot be judged because one of the two was not measured."""
    medians = {name: percentile(seconds, 50) for _, name, seconds in measured}
    lines = []
    for name, peer, times in bounds:
        if missing := [each for each in (name, peer) if each not in medians]:
            lines.append(f"not measured: {' and '.join(missing)}")
        elif medians[name] > times * medians[peer]:
            ratio = medians[name] / medians[peer]
            lines.append(f"too slow: {name} takes {ratio:.1f} times as long as {peer}, and may take {times:g} times")
    return lines
