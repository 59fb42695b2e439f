"""Applies layers as a template, each to a directory of its own, in a process that does nothing else.

python -m benchmarks.layers.stack_process DIRECTORY FILE,DIGEST,DIFF_ID...
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import BinaryIO

from firkin.domain.digest import Digest, chain_ids
from firkin.vminitd.layers.stacks import TemplateStack
from firkin.vminitd.layers.templates import TemplateLayer


def main() -> None:
    """All but the sync, for which nobody else waits either."""
    directory, *files = sys.argv[1:]
    described = [each.split(",") for each in files]
    layers = [TemplateLayer(Digest(digest), Digest(diff_id), "", 0) for _, digest, diff_id in described]

    @contextlib.contextmanager
    def opened(index: int) -> Iterator[BinaryIO]:
        with open(described[index][0], "rb", buffering=0) as stream:
            yield stream

    chain_id = chain_ids([layer.diff_id for layer in layers])[-1]
    with TemplateStack(os.path.abspath(directory), chain_id, layers) as stack:
        stack.build(opened, lambda: None)
        # Without a commit, leaving would remove it.
        os._exit(0)


if __name__ == "__main__":
    main()
