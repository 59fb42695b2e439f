"""A Debian system as an image of several layers, in each compression.

Debian itself is one layer. umoci makes what a build would leave above it: removed files and directories, files
that became directories and the other way round, hard links, extended attributes, and an opaque directory.
"""

from __future__ import annotations

import os
import platform
from pathlib import Path

from .cache import cached
from .tools import run, say

REMOVED_FILE = "etc/issue.net"
REMOVED_DIRECTORY = "usr/share/doc/bash"
OPAQUE_DIRECTORY = "opt/opaque"
RETURNED_FILE = "etc/debian_version"


def debian_layouts() -> Path:
    """A directory of the OCI layouts `gzip`, `zstd` and `plain` of one image, and `rootfs`, what umoci makes of it.

    The tag is `latest`. The two upper layers end, as umoci 0.4.7 writes them, without the padding and the zero
    blocks of tar(5): Go's reader and so every container engine accepts that.
    """
    return cached("debian", _make, ("debian.py",))


def _make(directory: Path) -> None:
    work = directory / "work"
    work.mkdir()
    layout = directory / "gzip"
    image = f"{layout}:latest"
    say("  debian: bootstrapping (1/5)")
    _bootstrap(work / "base.tar")
    say("  debian: first layer (2/5)")
    run("umoci", "init", "--layout", layout)
    run("umoci", "new", "--image", image)
    run("umoci", "raw", "add-layer", "--image", image, work / "base.tar")
    say("  debian: layers above it (3/5)")
    run("umoci", "unpack", "--image", image, work / "bundle")
    _change(work / "bundle" / "rootfs")
    run("umoci", "repack", "--image", image, work / "bundle")
    _insert(image, work)
    run(
        "umoci", "config", "--image", image, "--config.cmd", "/bin/bash", "--config.env", "LANG=C.UTF-8",
        "--config.env", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    )  # fmt: skip
    run("umoci", "gc", "--layout", layout)
    say("  debian: other compressions (4/5)")
    source = f"oci:{image}"
    run("skopeo", "copy", "--dest-compress-format", "zstd", source, f"oci:{directory / 'zstd'}:latest")
    run("skopeo", "copy", "--dest-decompress", source, f"dir:{work / 'plain'}")
    plain = f"oci:{directory / 'plain'}:latest"
    run("skopeo", "copy", "--dest-oci-accept-uncompressed-layers", f"dir:{work / 'plain'}", plain)
    say("  debian: what umoci unpacks (5/5)")
    run("umoci", "raw", "unpack", "--image", image, directory / "rootfs")
    run("busybox", "rm", "-r", work)


def _bootstrap(archive: Path) -> None:
    release = platform.freedesktop_os_release()
    suite = release.get("VERSION_CODENAME", "stable") if release["ID"] == "debian" else "stable"
    sources = [path for path in _apt_sources() if suite in path.read_text().split()]
    run("mmdebstrap", "--variant=minbase", suite, archive, *sources)


def _apt_sources() -> list[Path]:
    etc = Path("/etc/apt")
    places = [etc / "sources.list", *sorted((etc / "sources.list.d").glob("*"))]
    return [path for path in places if path.suffix in (".list", ".sources") and path.is_file()]


def _change(rootfs: Path) -> None:
    """What the second layer holds."""
    (rootfs / REMOVED_FILE).unlink()
    (rootfs / RETURNED_FILE).unlink()
    run("busybox", "rm", "-r", rootfs / REMOVED_DIRECTORY)
    (rootfs / "etc/motd").unlink(missing_ok=True)
    (rootfs / "etc/motd").mkdir()
    (rootfs / "etc/motd/file").write_text("a directory where a file was\n")
    (rootfs / "media").rmdir()
    (rootfs / "media").write_text("a file where a directory was\n")
    opaque = rootfs / OPAQUE_DIRECTORY
    (opaque / "sub").mkdir(parents=True)
    for name in ("hidden", "replaced", "sub/hidden"):
        (opaque / name).write_text(f"{name} of the lower layer\n")
    extra = rootfs / "opt/extra"
    extra.mkdir()
    (extra / "first").write_text("one file, two names\n")
    os.link(extra / "first", extra / "second")
    (extra / "absolute").symlink_to("/etc/passwd")
    (extra / "relative").symlink_to("../../etc/passwd")
    (extra / "dangling").symlink_to("nowhere")
    (extra / "n\u00e4me with \u20ac and space").write_text("beyond ASCII\n")
    (extra / ("long" * 50)).write_text("beyond the 100 bytes of a tar header\n")
    (extra / "owned").write_text("of 1234:5678\n")
    os.chown(extra / "owned", 1234, 5678)
    (extra / "set-uid").write_text("mode 4755\n")
    (extra / "set-uid").chmod(0o4755)
    os.mkfifo(extra / "fifo")
    # VFS_CAP_REVISION_2, effective, CAP_NET_RAW permitted.
    os.setxattr(extra / "owned", "security.capability", bytes.fromhex("0100000200200000000000000000000000000000"))
    os.setxattr(extra / "owned", "user.firkin", b"an attribute")


def _insert(image: str, work: Path) -> None:
    """The third layer hides what an earlier one had in a directory; the fourth brings a removed file back."""
    above = work / "above"
    above.mkdir()
    (above / "replaced").write_text("of the upper layer\n")
    (above / "new").write_text("new in the upper layer\n")
    run("umoci", "insert", "--image", image, "--opaque", above, f"/{OPAQUE_DIRECTORY}")
    (work / "returned").write_text("back again\n")
    run("umoci", "insert", "--image", image, work / "returned", f"/{RETURNED_FILE}")
