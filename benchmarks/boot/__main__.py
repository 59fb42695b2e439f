"""Measures the boot of machines round by round beside a bare busybox; only ratios of one run mean much."""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from firkin.domain.size import Size
from tests.images.busybox import busybox_layout

from .bare import bare_boot, bare_image
from .machine import BootResult, booted, guest_images

MEMORY = Size.mib(512)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.boot", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="the file to write everything to")
    options = parser.parse_args()
    reference = f"oci:{busybox_layout()}:latest"
    bare: list[tuple[float, float]] = []
    machines: list[BootResult] = []
    with tempfile.TemporaryDirectory(prefix="firkin-boot-") as name:
        directory = Path(name)
        image = bare_image(directory, asyncio.run(guest_images().image()))
        for number in range(options.rounds):
            bare.append(bare_boot(directory, image, MEMORY))
            machines.append(asyncio.run(booted(directory / str(number), reference, MEMORY)))
    results = _results(bare, machines)
    _print(results, _phases(machines))
    if options.json:
        options.json.write_text(json.dumps({**results, "phases": _phases(machines)}, indent=2) + "\n")


def _results(bare: Sequence[tuple[float, float]], machines: Sequence[BootResult]) -> dict[str, float]:
    medians = {
        name: statistics.median(getattr(machine, name) for machine in machines)
        for name in BootResult.__struct_fields__
        if name != "phases"
    }
    return {
        "bare": statistics.median(seconds for seconds, _ in bare),
        "bare_cpu": statistics.median(taken for _, taken in bare),
        **medians,
        "ready_beside_bare": _ratio([machine.ready for machine in machines], [seconds for seconds, _ in bare]),
        "answered_beside_bare": _ratio([machine.answered for machine in machines], [seconds for seconds, _ in bare]),
        "ready_cpu_beside_bare": _ratio([machine.ready_cpu for machine in machines], [taken for _, taken in bare]),
    }


def _ratio(mine: Sequence[float], peers: Sequence[float]) -> float:
    """The median of the rounds' ratios."""
    return statistics.median(one / peer for one, peer in zip(mine, peers, strict=True))


def _phases(machines: Sequence[BootResult]) -> Mapping[str, float]:
    return {name: statistics.median(one.phases[name] for one in machines) for name in machines[0].phases}


def _print(results: Mapping[str, float], phases: Mapping[str, float]) -> None:
    for name, value in results.items():
        print(f"{name:24}{value:10.4f}")
    print("  ".join(f"{name} {seconds:.2f}" for name, seconds in phases.items()))


if __name__ == "__main__":
    main()
