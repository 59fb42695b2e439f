"""Running tests of this project as another user, in a pytest of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

from tests.images.busybox import busybox_layout
from tests.images.cache import cache_directory
from tests.images.debian import debian_layouts
from tests.images.services import services_layout
from tests.integration.pod.pods import SERVICE_VARIABLE

from .reachable import SOURCES
from .users import UnprivilegedUser

_SECONDS = 500


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
    done = subprocess.run(
        [*prefix, *user.command(sys.executable, "-m", "pytest", *arguments, *files, **environment)],
        capture_output=True, text=True, timeout=_SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"as user {user.name}:\n{done.stdout}{done.stderr}"
    return done.stdout.splitlines()[-1]


def make_images_readable() -> None:
    """The tools that made them wrote files for their own user alone."""
    for layout in (busybox_layout(), services_layout(), debian_layouts() / "gzip"):
        for directory, _, names in os.walk(layout):
            for path in (directory, *(os.path.join(directory, name) for name in names)):
                mode = os.stat(path).st_mode
                os.chmod(path, mode | (0o555 if os.path.isdir(path) else 0o444))
