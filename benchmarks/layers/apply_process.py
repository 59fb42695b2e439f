"""Applies layers in a process that does nothing else; prints the seconds of each stage, if the engine tells.

python -m benchmarks.layers.apply_process ROOTFS FILE,DIGEST,DIFF_ID...
"""

from __future__ import annotations

import sys
import time

from firkin.vminitd.layers.applier import apply_layer


def main() -> None:
    """Apply the layers of the command line."""
    rootfs, *layers = sys.argv[1:]
    began = time.monotonic()
    for layer in layers:
        path, digest, diff_id = layer.split(",")
        with open(path, "rb", buffering=0) as stream:
            apply_layer(rootfs, stream, layer_name=path, digest=digest, diff_id=diff_id)
    print(time.monotonic() - began)


if __name__ == "__main__":
    main()
