"""Percentiles of benchmarks, beside the first peer of each group."""

from __future__ import annotations

from collections.abc import Sequence

PEERS = ("test_crun", "test_podman", "test_plain")
Measured = tuple[str | None, str, Sequence[float]]
"""Group, name, and the seconds of each round, sorted."""


def percentile_lines(measured: Sequence[Measured]) -> list[str]:
    """One line per benchmark of a group: milliseconds, and the multiples of the same percentiles of its peers."""
    lines: list[str] = []
    for group in dict.fromkeys(one[0] for one in measured):
        lines.append(f"{group or 'without a group'}:")
        members = [(name, seconds) for of, name, seconds in measured if of == group]
        peers = [(name, seconds) for name, seconds in members if name.startswith(PEERS)]
        for name, seconds in members:
            p50, p95 = percentile(seconds, 50), percentile(seconds, 95)
            ratios = [
                f"{p50 / percentile(theirs, 50):.2f} / {p95 / percentile(theirs, 95):.2f} x {peer}"
                for peer, theirs in peers
                if peer != name
            ]
            beside = f"  {', '.join(ratios)}" if ratios and not name.startswith(PEERS) else ""
            lines.append(f"  {name:<44} {p50 * 1000:9.2f} ms {p95 * 1000:9.2f} ms{beside}")
    return lines


def throughput_lines(measured: Sequence[Measured], group: str, byte_count: int, goal: int) -> list[str]:
    """One line per benchmark of `group`, whose rounds moved `byte_count` bytes each: MB/s of its median."""
    lines = [
        f"  {name:<44} {byte_count / percentile(seconds, 50) / 1e6:9.0f} MB/s"
        + ("" if name.startswith(PEERS) else f"  goal: over {goal} MB/s")
        for of, name, seconds in measured
        if of == group
    ]
    return [f"{group}:", *lines] if lines else []


def percentile(ordered: Sequence[float], percent: int) -> float:
    """By the nearest rank: the smallest that at least `percent` of them do not exceed."""
    rank = -(-len(ordered) * percent // 100)
    return ordered[max(rank, 1) - 1]
