"""Running a process and measuring it, and medians of that."""

from __future__ import annotations

import os
import random
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple


class Cost(NamedTuple):
    """What a process took: seconds on the wall clock, seconds of all its CPUs, and the bytes it held at most."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int


class ProcessFailed(Exception):
    """A process that was to be measured ended with an error."""


class Stopwatch:
    """Runs commands by `run_measured.c`, which is compiled to a directory."""

    def __init__(self, directory: Path) -> None:
        self._program = compiled("run_measured", directory)
        self._warmer = compiled("warm_memory", directory)
        self._report = directory / "report"

    def warm(self, byte_count: int) -> None:
        """Make so much of what is free memory that costs nobody more than it has to."""
        subprocess.run([str(self._warmer), str(byte_count >> 20)], check=True)

    def measured(self, command: Sequence[str], working_directory: Path | None = None) -> Cost:
        """Run a command to its end; the peak is that of its largest process.

        Raises:
            ProcessFailed: it ended with an error.
        """
        whole = [str(self._program), str(self._report), *command]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        done = subprocess.run(
            whole, stdin=subprocess.DEVNULL, capture_output=True, cwd=working_directory, env=environment
        )
        seconds, cpu, kibibytes, status = self._report.read_text().split()
        code = os.waitstatus_to_exitcode(int(status))
        if code:
            said = (done.stdout + done.stderr)[-2000:].decode(errors="replace")
            raise ProcessFailed(f"{command[0]} ended with {code}: {said}")
        return Cost(float(seconds), float(cpu), int(kibibytes) * 1024)


def compiled(name: str, directory: Path) -> Path:
    """One of this package's C programs, compiled to a directory."""
    program = directory / name
    source = Path(__file__).with_name(f"{name}.c")
    subprocess.run(["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", str(program), str(source)], check=True)
    return program


class Rounds(NamedTuple):
    """The costs of the same work, round by round."""

    costs: Sequence[Cost]

    @property
    def median(self) -> Cost:
        """Of each number on its own."""
        seconds, cpu, peak = zip(*self.costs, strict=True)
        return Cost(statistics.median(seconds), statistics.median(cpu), int(statistics.median(peak)))

    @property
    def least_cpu_seconds(self) -> float:
        """Of the round that others on the machine disturbed least: they only ever add to it."""
        return min(cost.cpu_seconds for cost in self.costs)


Work = Callable[[Path], Cost]


def interleaved(works: Mapping[str, Work], place: Path, rounds: int, say: Callable[[str], None]) -> dict[str, Rounds]:
    """The costs of works that each fill an empty directory, one after the other, so many times.

    Each round has an order of its own, so that none always comes after the same one, whose memory is still being given
    back. Nothing is left to write back when a work begins.
    """
    costs: dict[str, list[Cost]] = {name: [] for name in works}
    names = list(works)
    for number in range(rounds):
        for name in random.Random(number).sample(names, len(names)):
            rootfs = Path(tempfile.mkdtemp(prefix="rootfs-", dir=place))
            try:
                costs[name].append(works[name](rootfs))
            except ProcessFailed as error:
                if number:
                    raise
                say(f"  {name} is left out: {error}")
                del costs[name]
                names = [other for other in names if other != name]
            finally:
                removed(rootfs)
                _sync(place)
    return {name: Rounds(each) for name, each in costs.items()}


def _sync(place: Path) -> None:
    # Only of this filesystem: others are none of the benchmark's affair.
    subprocess.run(["sync", "--file-system", str(place)], check=True)


def removed(directory: Path) -> None:
    """Remove a directory and everything in it."""
    shutil.rmtree(directory)
