"""Applies layers in a process that does nothing else: to one rootfs, or as a template, each to a directory of its own.

python -m benchmarks.layers.apply_process [--stacked] DIRECTORY FILE,DIGEST,DIFF_ID...
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import BinaryIO

from firkin.domain.digest import Digest, chain_ids
from firkin.vminitd.layers.applier import apply_layer
from firkin.vminitd.layers.stacks import TemplateStack
from firkin.vminitd.layers.templates import TemplateLayer


def main() -> None:
    """Apply the layers of the command line."""
    arguments = sys.argv[1:]
    is_stacked = arguments[0] == "--stacked"
    directory, *layers = arguments[is_stacked:]
    described = [layer.split(",") for layer in layers]
    if is_stacked:
        _stack(directory, described)
        return
    for path, digest, diff_id in described:
        with open(path, "rb", buffering=0) as stream:
            apply_layer(directory, stream, layer_name=path, digest=digest, diff_id=diff_id)


def _stack(directory: str, described: list[list[str]]) -> None:
    """All but the sync, for which nobody else waits either."""
    layers = [TemplateLayer(Digest(digest), Digest(diff_id), "", 0) for _, digest, diff_id in described]

    @contextlib.contextmanager
    def opened(index: int) -> Iterator[BinaryIO]:
        with open(described[index][0], "rb", buffering=0) as stream:
            yield stream

    chain_id = chain_ids([layer.diff_id for layer in layers])[-1]
    with TemplateStack(os.path.abspath(directory), chain_id, layers) as stack:
        stack.build(opened, lambda: None)
        os._exit(0)


if __name__ == "__main__":
    main()
