"""Running tests of this project as another user, in a pytest of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from typing import IO

from tests.images.busybox import busybox_layout
from tests.images.cache import cache_directory
from tests.images.debian import debian_layouts
from tests.images.services import services_layout
from tests.integration.pod.pods import SERVICE_VARIABLE

from .reachable import SOURCES
from .users import UnprivilegedUser

_SECONDS = 840
"""Less than a test may take: it is to tell what hung."""


def run_tests(
    user: UnprivilegedUser, paths: Sequence[str], *options: str, prefix: Sequence[str] = (), service: str = ""
) -> str:
    """Run tests as `user`, those left out that need what he has not; returns pytest's summary.

    Args:
        prefix: a command of root that runs the rest of its arguments.
        service: what the agents of pods are asked over, if not over firkin's own.

    Raises:
        AssertionError: one failed, or was skipped; with all that pytest wrote.
    """
    needed = ["needs_root", *(() if user.has_ids else ("needs_ids",)), *(("needs_agent_v1",) if service else ())]
    selected = " and ".join(f"not {marker}" for marker in needed)
    make_images_readable()
    base = f"--basetemp={user.home}/t"
    arguments = ["-q", "-p", "no:cacheprovider", base, "-m", selected, f"--rootdir={SOURCES}", *options]
    environment = {"FIRKIN_TEST_IMAGES": str(cache_directory()), "CI": os.environ.get("CI", "")}
    environment[SERVICE_VARIABLE] = service
    files = [f"{SOURCES}/{path}" for path in paths]
    command = [*prefix, *user.command(sys.executable, "-u", "-m", "pytest", *arguments, *files, **environment)]
    # Into files: of tests that take too long, what they wrote is told as well.
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        try:
            code = subprocess.run(command, stdout=output, stderr=errors, timeout=_SECONDS, check=False).returncode
            came_to = f"exit code {code}"
        except subprocess.TimeoutExpired:
            came_to = f"still running after {_SECONDS} s"
        told, complaints = (_read(file) for file in (output, errors))
    assert came_to == "exit code 0", f"as user {user.name}, {came_to}:\n{told}{complaints}"
    return told.splitlines()[-1]


def _read(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def make_images_readable() -> None:
    """The tools that made them wrote files for their own user alone."""
    for layout in (busybox_layout(), services_layout(), debian_layouts() / "gzip"):
        for directory, _, names in os.walk(layout):
            for path in (directory, *(os.path.join(directory, name) for name in names)):
                mode = os.stat(path).st_mode
                os.chmod(path, mode | (0o555 if os.path.isdir(path) else 0o444))
