"""Runs the benchmark of layers; `--short` fails when firkin got slower beside GNU tar."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from . import places, report, small_things
from .inputs import Input, made_inputs
from .isolation import isolated
from .measuring import Rounds, interleaved
from .tools import Tools

_TRIES = 3
_COLD = "tmpfs from disk"
_PLACES = {"tmpfs": places.tmpfs, "ext4": places.ext4, _COLD: places.tmpfs}


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.layers", description=__doc__)
    parser.add_argument("--short", action="store_true", help="one small image, in memory only, beside GNU tar only")
    parser.add_argument("--rounds", type=int, help="5 in short, otherwise 3")
    parser.add_argument("--only", help="only inputs and places whose name has this in it")
    parser.add_argument("--json", type=Path, help="the file to write everything to")
    parser.add_argument("--write-baseline", action="store_true", help="commit to what is measured now")
    options = parser.parse_args()
    inputs = made_inputs(short=options.short)
    for each in inputs:
        print(f"{each.name}: {each.entries} entries, {each.tar_bytes / 2**20:.0f} MiB in {len(each.layers)} layers")
    results = _measured(inputs, options.rounds or (5 if options.short else 3), options.only or "", short=options.short)
    for case, ratio in report.ratios(results).items():
        print(f"{case}: GNU tar takes {ratio:.2f} times the CPU")
    others = {} if options.short else _others()
    for name, value in others.items():
        print(f"{name}: {value:.6f}")
    if options.json:
        options.json.write_text(report.as_json(results, others))
    if options.write_baseline:
        report.BASELINE.write_text(
            json.dumps({case: round(ratio, 2) for case, ratio in report.ratios(results).items()}, indent=2) + "\n"
        )
    regressions = _regressions(results, inputs, options.only or "") if options.short else []
    for line in regressions:
        print(f"slower than before: {line}", file=sys.stderr)
    return 1 if regressions else 0


def _regressions(results: dict[str, dict[str, Rounds]], inputs: list[Input], only: str) -> list[str]:
    """What stays slower than the baseline when it is measured again."""
    best = report.ratios(results)
    for _ in range(_TRIES):
        if not (found := report.regressions(best)):
            break
        print("slower than before, so it is measured once more:", *found, sep="\n  ", flush=True)
        again = report.ratios(_measured(inputs, 7, only, short=True))
        best = {case: max(ratio, again[case]) for case, ratio in best.items()}
    return report.regressions(best)


def _measured(inputs: list[Input], rounds: int, only: str, *, short: bool) -> dict[str, dict[str, Rounds]]:
    results: dict[str, dict[str, Rounds]] = {}
    with tempfile.TemporaryDirectory(dir=places.MEMORY) as scratch:
        tools = Tools(Path(scratch))
        for kind, opened in _PLACES.items():
            if short and kind != "tmpfs":
                continue
            for each in inputs:
                case = f"{each.name} on {kind}"
                if only not in case:
                    continue
                with opened() as place:
                    results[case] = interleaved(
                        tools.works(each, short=short, cold=kind == _COLD), place, rounds, print
                    )
                print(*report.table({case: results[case]}), sep="\n", flush=True)
    return results


def _others() -> dict[str, float]:
    results: dict[str, float] = {}
    with places.tmpfs() as place:
        for media_type in ("application/vnd.oci.image.layer.v1.tar", "application/vnd.oci.image.layer.v1.tar+gzip"):
            with tempfile.TemporaryDirectory(dir=place) as below:
                kind = media_type.rpartition("+")[2] if "+" in media_type else "plain"
                results[f"seconds per layer of one file, {kind}"] = small_things.seconds_per_layer(
                    Path(below), media_type
                )
        results["seconds per layer of one file, GNU tar"] = small_things.tar_seconds_per_layer(place)
    for rule, (compiled, twin) in small_things.path_check_seconds(small_things.names()).items():
        results[f"{rule} of 100,000 names, seconds"] = compiled
        results[f"{rule} of 100,000 names, times as fast as its twin"] = twin / compiled
    return results


if __name__ == "__main__":
    sys.exit(isolated(main))
