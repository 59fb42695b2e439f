"""Running programs as the agent does, for tests that have no agent."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence


def run_program(command: Sequence[str]) -> tuple[int, str]:
    """Run a command to its end; returns its exit code and what it wrote."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr
