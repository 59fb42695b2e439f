"""Make a test image when absent, and print its reference."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from .busybox import busybox_layout
from .debian import debian_layouts
from .tools import ToolFailed


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.images", description=__doc__)
    parser.add_argument("image", choices=["busybox", "debian"])
    parser.add_argument("directory", type=Path, nargs="?", help="copy the image's OCI layout there")
    options = parser.parse_args()
    try:
        layout = busybox_layout() if options.image == "busybox" else debian_layouts() / "gzip"
    except ToolFailed as error:
        print(error, file=sys.stderr)
        return 1
    if options.directory is not None and not options.directory.exists():
        shutil.copytree(layout, options.directory)
    print(f"oci:{options.directory or layout}:latest")
    return 0


if __name__ == "__main__":
    sys.exit(main())
