"""Costs that do not grow with a layer: ten thousand layers of one file, and a hundred thousand names."""

from __future__ import annotations

import collections
import io
import random
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from firkin._fast import _paths_py, paths
from firkin.vminitd.layers.applier import apply_layer
from tests.integration.layers.golden.applying import PACKS
from tests.integration.layers.golden.blocks import file, layer

LAYERS = 10_000
NAMES = 100_000
_TAR_LAYERS = 300


def seconds_per_layer(place: Path, media_type: str, count: int = LAYERS) -> float:
    """Of layers of one file each, applied one after the other to one rootfs."""
    blobs = [PACKS[media_type](layer(file(f"etc/{number}", b"content"))) for number in range(count)]
    rootfs = place / "small-layers"
    rootfs.mkdir()
    began = time.monotonic()
    for number, blob in enumerate(blobs):
        apply_layer(str(rootfs), io.BytesIO(blob), layer_name=str(number), media_type=media_type)
    return (time.monotonic() - began) / count


def tar_seconds_per_layer(place: Path) -> float:
    """The same by GNU tar, a process for each."""
    rootfs = place / "small-layers-tar"
    rootfs.mkdir()
    archives = []
    for number in range(_TAR_LAYERS):
        archives.append(place / f"{number}.tar")
        archives[-1].write_bytes(layer(file(f"etc/{number}", b"content")))
    began = time.monotonic()
    for archive in archives:
        subprocess.run(["tar", "-xf", str(archive), "-C", str(rootfs)], check=True)
    return (time.monotonic() - began) / len(archives)


def names(count: int = NAMES) -> list[bytes]:
    """Names as archives of Debian have them, with some of every other form among them."""
    chance = random.Random(8)
    words = [b"usr", b"share", b"doc", b"lib", b"x86_64-linux-gnu", b"python3.11", b"copyright", b"changelog.Debian.gz"]
    made = []
    for _ in range(count):
        name = b"/".join(chance.choices(words, k=chance.randrange(2, 8)))
        made.append(chance.choice([b"./", b"./", b"./", b"", b"/"]) + name)
    return made


def path_check_seconds(given: list[bytes]) -> dict[str, tuple[float, float]]:
    """By rule: the seconds for all names, compiled and by the twin in Python; the best of nine."""
    clean = [_paths_py.clean_member_name(name) for name in given]
    absolute = [b"/" + name for name in clean]
    last = [name.rpartition(b"/")[2] for name in clean]
    return {
        "clean_member_name": _of_each(paths.clean_member_name, _paths_py.clean_member_name, given),
        "relative_path_problem": _of_each(paths.relative_path_problem, _paths_py.relative_path_problem, clean),
        "guest_path_problem": _of_each(paths.guest_path_problem, _paths_py.guest_path_problem, absolute),
        "id_problems": _both(paths.id_problems, _paths_py.id_problems, last),
    }


def _of_each(
    compiled: Callable[[bytes], object], twin: Callable[[bytes], object], given: list[bytes]
) -> tuple[float, float]:
    return _both(_each(compiled), _each(twin), given)


def _each(check: Callable[[bytes], object]) -> Callable[[list[bytes]], object]:
    return lambda given: collections.deque(map(check, given), maxlen=0)


def _both(
    compiled: Callable[[list[bytes]], object], twin: Callable[[list[bytes]], object], given: list[bytes]
) -> tuple[float, float]:
    rounds = [(_seconds(compiled, given), _seconds(twin, given)) for _ in range(9)]
    return min(each for each, _ in rounds), min(each for _, each in rounds)


def _seconds(check: Callable[[list[bytes]], object], given: list[bytes]) -> float:
    began = time.perf_counter()
    check(given)
    return time.perf_counter() - began
