"""Programs of the host that building needs."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from firkin.domain.errors import GuestImageFailed, MissingTool

_SECONDS = 600


def tool_path(name: str, package: str, purpose: str, search_path: str) -> str:
    """Where a program is.

    Raises:
        MissingTool: it is not installed.
    """
    found = shutil.which(name, path=search_path)
    if found is None:
        raise MissingTool(name, purpose, package)
    return found


def run_tool(command: Sequence[str], search_path: str, directory: Path | None = None, *, check: bool = True) -> str:
    """Run a program and return what it wrote.

    Raises:
        GuestImageFailed: it failed, and `check` is set, or it did not end.
    """
    environment = {"PATH": search_path, "LC_ALL": "C"}
    name = Path(command[0]).name
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=directory,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise GuestImageFailed(f"run {name}", str(error)) from error
    output = done.stdout.decode(errors="replace")
    if check and done.returncode:
        raise GuestImageFailed(f"run {name}", output.strip() or f"it exited with status {done.returncode}")
    return output
