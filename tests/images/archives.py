"""Archives of others: CPython's test file of all tar formats, and the contents of Debian packages."""

from __future__ import annotations

import os
import subprocess
import sysconfig
from pathlib import Path

from .cache import cached
from .tools import run

_TEST_PACKAGE = "libpython3.11-testsuite"
PACKAGES = ("base-files", "login", "mawk", "perl-base")
"""Small packages with symlinks, hard links, set-user-id programs and sticky directories."""


def cpython_test_archive() -> Path:
    """`testtar.tar`: of the interpreter that runs, or else of Debian's package of its tests."""
    library = Path(sysconfig.get_path("stdlib"))
    for place in (library / "test" / "testtar.tar", library / "test" / "archivetestdata" / "testtar.tar"):
        if place.is_file():
            return place
    return cached("testtar", _make_testtar, ("archives.py",)) / "testtar.tar"


def _make_testtar(directory: Path) -> None:
    package = _downloaded(_TEST_PACKAGE, directory)
    run("dpkg-deb", "--extract", package, directory / "extracted")
    found = next((directory / "extracted").rglob("testtar.tar"))
    found.rename(directory / "testtar.tar")
    run("rm", "-r", directory / "extracted")


def package_archives() -> list[Path]:
    """`data.tar` of each of PACKAGES, as `dpkg-deb --fsys-tarfile` gives it."""
    directory = cached("packages", _make_packages, ("archives.py",))
    return [directory / f"{name}.tar" for name in PACKAGES]


def _make_packages(directory: Path) -> None:
    for name in PACKAGES:
        package = _downloaded(name, directory)
        with (directory / f"{name}.tar").open("wb") as target:
            subprocess.run(["dpkg-deb", "--fsys-tarfile", str(package)], check=True, stdout=target)


def _downloaded(package: str, directory: Path) -> Path:
    # apt reads as a user of its own, who may not enter a directory of root's; hence its sandbox is put off.
    command = ["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", package]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"})
    if done.returncode != 0:
        run("apt-get", "-q", "update")
        subprocess.run(command, cwd=directory, check=True)
    return next(directory.glob(f"{package}_*.deb"))
