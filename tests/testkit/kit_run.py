"""Runs of the kit in projects of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec


class Row(msgspec.Struct, frozen=True):
    """A cell of the matrix of promises."""

    port: str
    adapter: str
    promise: str
    verdict: str


class _Matrix(msgspec.Struct, frozen=True):
    promises: tuple[Row, ...]


class KitRun(msgspec.Struct, frozen=True):
    """What a run of pytest in another project told."""

    exit_code: int
    output: str
    rows: tuple[Row, ...]

    def promises_with(self, verdict: str) -> frozenset[str]:
        """The promises of that verdict."""
        return frozenset(row.promise for row in self.rows if row.verdict == verdict)


def run_kit(project: Path, scratch: Path, *arguments: str) -> KitRun:
    """Run pytest in `project`, which is left as it is."""
    matrix = scratch / "matrix.json"
    command = [sys.executable, "-B", "-m", "pytest", "-p", "no:cacheprovider", "--rootdir", str(project)]
    command += ["--basetemp", str(scratch / "runs"), f"--firkin-promises={matrix}", *arguments, str(project)]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=600)
    rows = msgspec.json.decode(matrix.read_bytes(), type=_Matrix).promises if matrix.exists() else ()
    return KitRun(done.returncode, done.stdout + done.stderr, rows)
