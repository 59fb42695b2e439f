"""Running the programs that make images."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

_PACKAGES = {
    "busybox": "busybox-static",
    "umoci": "umoci",
    "buildah": "buildah",
    "skopeo": "skopeo",
    "mmdebstrap": "mmdebstrap",
}
_TRIES = {"mmdebstrap": 3}
"""Of programs that download: a mirror may fail for a moment, and every test of its image with it."""


class ToolFailed(Exception):
    """A program that makes images is missing, or ended with an error."""


def found(tool: str) -> str:
    """Return the program's path.

    Raises:
        ToolFailed: it is not installed; the message says what installs it.
    """
    path = shutil.which(tool)
    if path is None:
        raise ToolFailed(f"{tool} is not installed: run `apt-get install {_PACKAGES[tool]}`")
    return path


def run(tool: str, *arguments: str | Path) -> str:
    """Run a program and return its standard output.

    Raises:
        ToolFailed: it is missing, or it failed; the message has what it said.
    """
    command = [found(tool), *(os.fspath(argument) for argument in arguments)]
    for left in reversed(range(_TRIES.get(tool, 1))):
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode == 0:
            return done.stdout
        said = f"{' '.join(command)} failed with exit code {done.returncode}:\n{done.stdout}{done.stderr}"
        if left:
            say(f"{said}\n{tool} is run once more")
    raise ToolFailed(said)


def say(line: str) -> None:
    """Tell the progress, on stderr."""
    print(line, file=sys.stderr, flush=True)
