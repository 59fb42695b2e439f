"""Golden layers as lower directories of an overlay: the kernel must see what one flat rootfs would hold."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from firkin.vminitd.filesystem.lower_directories import opaque_attribute, opened_merged
from firkin.vminitd.filesystem.mounts import mount
from firkin.vminitd.layers.applier import Whiteouts, apply_layer
from tests.integration.filesystem.private_mounts import in_private_mounts

from ..archives import Trickle, sha256
from .case import Golden, Refused
from .test_golden import GOLDEN
from .trees import PREPARED, Tree, differences, read_tree

NOT_TO_COMPARE = {
    "whiteout: a device that overlayfs would take for one is a device": "an overlay cannot show it",
}


def lower_directories(place: Path, golden: Golden) -> list[Path]:
    """A directory for each layer, the lowest first."""
    found: list[Path] = []
    for number, tar in enumerate(golden.layers):
        directory = place / str(number)
        directory.mkdir(parents=True)
        directory.chmod(0o755)
        os.utime(directory, (PREPARED, PREPARED))
        with merged_below(found, place) as lower:
            apply_layer(
                str(directory),
                Trickle(tar),
                layer_name="layer",
                digest=sha256(tar),
                diff_id=sha256(tar),
                whiteouts=Whiteouts.OVERLAY,
                lower=lower,
            )
        found.append(directory)
    return found


@contextlib.contextmanager
def merged_below(directories: list[Path], place: Path) -> Iterator[Callable[[], int] | None]:
    """What `apply_layer` wants to know of the layers below; None for the lowest."""
    opened: list[int] = []

    def lower() -> int:
        (place / "empty").mkdir(exist_ok=True)
        lowers = [str(each) for each in [*stacked(directories), place / "empty"]]
        opened.append(opened_merged(lowers, str(place / "below")))
        return opened[-1]

    yield lower if directories else None
    assert len(opened) <= 1
    for descriptor in opened:
        os.close(descriptor)


def stacked(directories: list[Path]) -> list[Path]:
    """The uppermost first, down to one whose whole rootfs is opaque: overlayfs does not look at that of a root."""
    stack = []
    for directory in reversed(directories):
        stack.append(directory)
        if opaque_attribute() in os.listxattr(directory):
            break
    return stack


def shown(found: Tree) -> Tree:
    """Without link counts, which an overlay does not sum up."""
    return {path: dataclasses.replace(node, names=frozenset()) for path, node in found.items()}


@in_private_mounts
def test_an_overlay_of_layers_is_the_flat_rootfs(tmp_path: Path) -> None:
    mount("tmpfs", "tmpfs", str(tmp_path), [])
    merged = tmp_path / "merged"
    merged.mkdir()
    # An overlay that cannot be written has at least two lower directories.
    (tmp_path / "empty").mkdir()
    wrong = {}
    compared = 0
    for number, (name, golden) in enumerate(GOLDEN.items()):
        if len(golden.layers) == 1 or isinstance(golden.outcome, Refused) or name in NOT_TO_COMPARE:
            continue
        directories = lower_directories(tmp_path / str(number), golden)
        stack = ":".join(str(each) for each in [*stacked(directories), tmp_path / "empty"])
        mount("overlay", "overlay", str(merged), ["ro", f"lowerdir={stack}"])
        different = differences(shown(golden.outcome), shown(read_tree(merged, is_whole=False)))
        subprocess.run(["umount", str(merged)], check=True)
        compared += 1
        if different:
            wrong[name] = different
    assert wrong == {}
    assert compared >= 40
