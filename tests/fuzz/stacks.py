"""Random layers once more, each in a directory of its own: the kernel must show them as one flat rootfs."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

from firkin.domain.errors import FirkinError
from firkin.domain.layer_limits import LayerLimits
from firkin.vminitd.filesystem.lower_directories import opaque_attribute, opened_merged
from firkin.vminitd.layers.applier import Whiteouts, apply_layer
from tests.integration.layers.archives import Trickle
from tests.integration.layers.golden.trees import Tree, read_tree

from .tar_grammar import Case


def stacked_tree(place: Path, case: Case, limits: LayerLimits) -> tuple[str, Tree]:
    """What becomes of the layers of a case as a stack in `place`: the outcome, and what an overlay shows."""
    with contextlib.ExitStack() as undo:
        empty = place / "empty"
        empty.mkdir(parents=True)
        directories: list[Path] = []

        def merged() -> int:
            lowers = [str(each) for each in (*_lowers(directories), empty)]
            descriptor = opened_merged(lowers, str(place / "merged"))
            undo.callback(os.close, descriptor)
            return descriptor

        for number, blob in enumerate(case.layers):
            directory = place / str(number)
            directory.mkdir()
            directory.chmod(0o755)
            try:
                apply_layer(
                    str(directory),
                    Trickle(blob.packed(), blob.step),
                    layer_name="layer",
                    limits=limits,
                    whiteouts=Whiteouts.OVERLAY if number else Whiteouts.APPLIED,
                    lower=merged if number else None,
                )
            except FirkinError as error:
                return type(error).__name__, {}
            directories.append(directory)
        return "applied", comparable(read_tree(Path(f"/proc/self/fd/{merged()}/."), is_whole=False))


def comparable(tree: Tree) -> Tree:
    """Without hard links, which an overlay tells from their inodes in one layer only."""
    return {path: dataclasses.replace(node, names=frozenset()) for path, node in tree.items()}


def _lowers(directories: Sequence[Path]) -> list[Path]:
    found = []
    for directory in reversed(directories):
        found.append(directory)
        if opaque_attribute() in os.listxattr(directory):
            break
    return found
