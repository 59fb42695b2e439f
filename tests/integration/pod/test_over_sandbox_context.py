"""The tests of pods once more, over the service that firkin's agent shares with others: both do the same."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from .pods import SERVICE_VARIABLE

_PODS = Path(__file__).parent
# A soak, a comparison with podman and a dozen services tell nothing of the service that the agent is asked over;
# `test_surroundings` has both by itself.
_LEFT_OUT = ("test_soak.py", "test_beside_podman.py", "test_services.py", "test_surroundings.py", Path(__file__).name)
_SECONDS = 850


@pytest.mark.needs_root
def test_pods_do_over_the_first_service_what_they_do_over_firkins_own() -> None:
    # Unix sockets below it need short paths.
    with tempfile.TemporaryDirectory(prefix="f-") as directory:
        done = _tests_done(f"{directory}/t")
    assert done.returncode == 0, done.stdout + done.stderr
    summary = done.stdout.splitlines()[-1]
    assert "skipped" not in summary
    assert int(summary.split(" passed")[0].split()[-1]) > 80


def _tests_done(directory: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--basetemp={directory}",
            "-m", "not needs_agent_v1 and not needs_user",
            *(f"--ignore={_PODS / name}" for name in _LEFT_OUT), str(_PODS),
        ],
        env={**os.environ, SERVICE_VARIABLE: "SandboxContext"},
        cwd=_PODS.parents[2], capture_output=True, text=True, timeout=_SECONDS, check=False,
    )  # fmt: skip
