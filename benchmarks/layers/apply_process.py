"""Applies layers to one rootfs, in a process that does nothing else.

python -m benchmarks.layers.apply_process DIRECTORY FILE,DIGEST,DIFF_ID...
"""

from __future__ import annotations

import sys

from firkin.vminitd.layers.applier import apply_layer


def main() -> None:
    """Apply the layers of the command line."""
    directory, *layers = sys.argv[1:]
    for layer in layers:
        path, digest, diff_id = layer.split(",")
        with open(path, "rb", buffering=0) as stream:
            apply_layer(directory, stream, layer_name=path, digest=digest, diff_id=diff_id)


if __name__ == "__main__":
    main()
