"""What a stack of lower directories costs those who use it: python -m benchmarks.layers.stacking

For each number of directories, of which the lowest is a Debian system and every other adds to its busiest ones: the
seconds to mount the overlay of a container, to look at every file, to look for a name that does not exist for the
first time, and to look at one that does. The last line tells what a second image on the same base takes.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from firkin.domain.guest_path import GuestPath
from firkin.vminitd.filesystem.lower_directories import lowerdir
from firkin.vminitd.filesystem.mounts import mount, unmount
from tests.images.debian import debian_layouts

from . import places
from .isolation import isolated

COUNTS = (1, 2, 4, 8, 16, 32, 64, 128)
_ROUNDS = 7
_NAMES = 2000
_BUSY = "usr/lib/x86_64-linux-gnu"


def main() -> int:
    """Measure and print."""
    print(f"{'directories':>11}{'mount':>12}{'all files':>12}{'missing':>12}{'present':>12}")
    with places.tmpfs() as place:
        for count in COUNTS:
            lowers = [str(_directory(place, number)) for number in reversed(range(count))]
            rounds = [_measured(place, lowers) for _ in range(_ROUNDS)]
            mounted, walked, missing, present = (statistics.median(each) for each in zip(*rounds, strict=True))
            figures = f"{mounted * 1e6:9.0f} us{walked * 1e3:9.1f} ms{missing * 1e6:9.2f} us{present * 1e6:9.2f} us"
            print(f"{count:11}{figures}", flush=True)
        print(f"a layer above it takes {_used_bytes(place / '1') / 2**20:.1f} MiB,", end=" ")
        print(f"and flattened with its base {_used_bytes(place / '0') / 2**20:.1f} MiB more")
    return 0


def _directory(place: Path, number: int) -> Path:
    directory = place / str(number)
    if directory.exists():
        return directory
    if number == 0:
        subprocess.run(["cp", "-a", str(debian_layouts() / "rootfs"), str(directory)], check=True)
        return directory
    for busy in (_BUSY, "etc", "var/lib/dpkg", f"opt/{number}"):
        (directory / busy).mkdir(parents=True)
    for name in range(50):
        (directory / f"opt/{number}/{name}").write_bytes(bytes(1000))
    return directory


def _measured(place: Path, lowers: list[str]) -> tuple[float, float, float, float]:
    container = GuestPath(str(place / "container"))
    for name in ("upper", "work", "merged"):
        Path(container, name).mkdir(parents=True)
    merged = container.below("merged")

    def mount_it() -> None:
        with lowerdir(lowers) as option:
            options = [option, f"upperdir={container}/upper", f"workdir={container}/work", "volatile"]
            mount("overlay", "overlay", merged, options)

    try:
        return (
            _seconds(mount_it),
            _seconds(lambda: _walk(f"{merged}/usr")),
            _seconds(lambda: [os.path.exists(f"{merged}/{_BUSY}/missing{each}") for each in range(_NAMES)]) / _NAMES,
            _seconds(lambda: [os.path.exists(f"{merged}/{_BUSY}/libc.so.6") for _ in range(_NAMES)]) / _NAMES,
        )
    finally:
        unmount(merged)
        shutil.rmtree(container)


def _walk(top: str) -> None:
    for directory, _, files in os.walk(top):
        for name in files:
            os.lstat(f"{directory}/{name}")


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _used_bytes(directory: Path) -> int:
    listed = subprocess.run(["du", "-s", "--block-size=1", str(directory)], capture_output=True, text=True, check=True)
    return int(listed.stdout.split()[0])


if __name__ == "__main__":
    sys.exit(isolated(main))
