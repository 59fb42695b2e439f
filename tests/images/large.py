"""A large Debian system, with compilers: more than 400 MiB and 20,000 files, as benchmarks of layers need it."""

from __future__ import annotations

import platform
from pathlib import Path

from .cache import cached
from .tools import run, say

_PACKAGES = ("build-essential", "git", "python3-dev", "python3-pip", "vim", "cmake", "manpages-dev")


def large_archive() -> Path:
    """The system as one uncompressed tar, as mmdebstrap writes it."""
    return cached("large", _make, ("large.py",)) / "large.tar"


def _make(directory: Path) -> None:
    say("  large: bootstrapping (a few minutes)")
    release = platform.freedesktop_os_release()
    suite = release.get("VERSION_CODENAME", "stable") if release["ID"] == "debian" else "stable"
    lists = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]
    sources = [
        path
        for path in lists
        if path.suffix in (".list", ".sources") and path.is_file() and suite in path.read_text().split()
    ]
    run("mmdebstrap", "--variant=minbase", f"--include={','.join(_PACKAGES)}", suite, directory / "large.tar", *sources)
