"""What the host sees of a kept store's image while no machine has it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from .machines import SEARCH_PATH


def is_left_clean(image: Path) -> bool:
    """Whether it was unmounted: nothing is in its journal any more, and e2fsck(8) finds nothing to mend."""
    header = _said("dumpe2fs", "-h", str(image))
    (features,) = (line.split()[2:] for line in header.splitlines() if line.startswith("Filesystem features:"))
    (state,) = (line.split()[2:] for line in header.splitlines() if line.startswith("Filesystem state:"))
    assert "has_journal" in features
    if "needs_recovery" in features or state != ["clean"]:
        return False
    _said("e2fsck", "-fn", str(image))
    return True


def template_names(image: Path) -> set[str]:
    """What lies in the directory of templates, of an image that is left clean."""
    return _names(image, "/templates")


def pods_in(image: Path) -> set[str]:
    """Whose directories lie in an image that is left clean."""
    return _names(image, "/pods")


def _names(image: Path, directory: str) -> set[str]:
    # Each line is /inode/mode/user/group/name/size/.
    names = {
        line.split("/")[5] for line in _said("debugfs", "-R", f"ls -p {directory}", str(image)).splitlines() if line
    }
    return names - {".", ".."}


def _said(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, env={"PATH": SEARCH_PATH}, check=False)
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout
