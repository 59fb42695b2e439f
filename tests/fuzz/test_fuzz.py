"""Random layers, in a process of their own, so that a crash is a failure and not the end of all tests."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest


def test_no_random_layer_escapes_crashes_or_hangs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Runs for FIRKIN_FUZZ_SECONDS, 20 unless set."""
    seconds = float(os.environ.get("FIRKIN_FUZZ_SECONDS", "20"))
    case = tmp_path / "case"
    command = ["unshare", "--mount", sys.executable, "-m", "tests.fuzz", "--seconds", str(seconds), "--case", str(case)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 120)
    with capsys.disabled():
        print("", *done.stdout.splitlines(), sep="\n  fuzz: ")
    if done.returncode != 0:
        kept = Path(tempfile.mkdtemp(prefix="firkin-fuzz-")) / "case"
        kept.write_bytes(case.read_bytes() if case.exists() else b"")
        pytest.fail(f"ended with {done.returncode}; the case is in {kept}\n{done.stdout}{done.stderr}")
