"""Make the small image that the examples run: busybox, as an OCI image layout written by umoci.

    python examples/make_demo_image.py [DIR]        DIR is .demo/image of the checkout when it is not given

Needs the Debian packages busybox-static and umoci. An image that is there already stays as it is.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

DEFAULT_DIRECTORY = Path(__file__).resolve().parent.parent / ".demo" / "image"
PACKAGES = {"busybox": "busybox-static", "umoci": "umoci"}


def main(arguments: list[str]) -> int:
    """Make the image and print its reference."""
    directory = Path(arguments[0]) if arguments else DEFAULT_DIRECTORY
    reference = f"oci:{directory}:latest"
    if (directory / "index.json").exists():
        print(f"{reference} is there already")
        return 0
    missing = [package for tool, package in PACKAGES.items() if shutil.which(tool) is None]
    if missing:
        print(f"the demo image needs more programs: run `apt-get install {' '.join(missing)}`", file=sys.stderr)
        return 1
    print(f"making the demo image {reference}", file=sys.stderr)
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".making-", dir=directory.parent) as aside:
        layout = make(Path(aside))
        layout.rename(directory)
    print(reference)
    return 0


def make(work: Path) -> Path:
    """Make the image in an empty directory, and return its layout."""
    layout, bundle = work / "layout", work / "bundle"
    image = f"{layout}:latest"
    umoci("init", "--layout", layout)
    umoci("new", "--image", image)
    umoci("unpack", *([] if os.geteuid() == 0 else ["--rootless"]), "--image", image, bundle)
    fill(bundle / "rootfs")
    umoci("repack", "--image", image, bundle)
    umoci("config", "--image", image, "--config.cmd", "sh", "--config.env", "PATH=/bin")
    umoci("gc", "--layout", layout)
    return layout


def fill(rootfs: Path) -> None:
    """Put busybox and its applets into the root filesystem."""
    for name in ("bin", "etc", "root", "tmp"):
        (rootfs / name).mkdir()
    (rootfs / "tmp").chmod(0o1777)
    program = Path(shutil.which("busybox") or "/bin/busybox")
    shutil.copy(program, rootfs / "bin" / "busybox")
    applets = subprocess.run([program, "--list"], check=True, capture_output=True, text=True).stdout.split()
    for applet in applets:
        if applet != "busybox":
            (rootfs / "bin" / applet).symlink_to("busybox")
    (rootfs / "etc" / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (rootfs / "etc" / "group").write_text("root:x:0:\n")


def umoci(*arguments: str | Path) -> None:
    """Run umoci."""
    subprocess.run(["umoci", *arguments], check=True, stdin=subprocess.DEVNULL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
