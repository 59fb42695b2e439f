"""A small image: busybox with its applets, two users, and two tags."""

from __future__ import annotations

import os
from pathlib import Path

from .cache import cached
from .tools import found, run

_PASSWD = "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:app:/home/app:/bin/sh\n"
_GROUP = "root:x:0:\napp:x:1000:\nextra:x:2000:app\n"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def busybox_layout() -> Path:
    """The image's OCI layout.

    Tags: `latest` runs `sh`; `variant` sets all that an image can say about its process (`Entrypoint`, `Cmd`, `Env`,
    `WorkingDir`, `User`, `StopSignal`). User `app` is 1000:1000 and in group `extra` (2000). `/bin/garbage` is
    executable and no program.
    """
    return cached("busybox", _make, ("busybox.py",))


def _make(directory: Path) -> None:
    run("umoci", "init", "--layout", directory / "layout")
    for name in ("blobs", "oci-layout", "index.json"):
        (directory / "layout" / name).rename(directory / name)
    (directory / "layout").rmdir()
    image = f"{directory}:latest"
    bundle = directory / "bundle"
    run("umoci", "new", "--image", image)
    run("umoci", "unpack", "--image", image, bundle)
    _fill(bundle / "rootfs")
    run("umoci", "repack", "--image", image, bundle)
    run("umoci", "config", "--image", image, "--config.env", f"PATH={_PATH}", "--config.cmd", "sh")
    run(
        "umoci", "config", "--image", image, "--tag", "variant",
        "--config.entrypoint", "/bin/echo", "--config.entrypoint", "entry", "--config.cmd", "default",
        "--config.env", "GREETING=from the image", "--config.workingdir", "/srv/work",
        "--config.user", "app", "--config.stopsignal", "SIGUSR1",
    )  # fmt: skip
    run("umoci", "gc", "--layout", directory)
    run("busybox", "rm", "-r", bundle)


def _fill(rootfs: Path) -> None:
    busybox = Path(found("busybox"))
    for name in ("bin", "etc", "root", "home/app", "tmp", "var/tmp", "proc", "sys", "dev"):
        (rootfs / name).mkdir(parents=True)
    for name in ("tmp", "var/tmp"):
        (rootfs / name).chmod(0o1777)
    os.chown(rootfs / "home/app", 1000, 1000)
    (rootfs / "bin/busybox").write_bytes(busybox.read_bytes())
    (rootfs / "bin/busybox").chmod(0o755)
    for applet in run("busybox", "--list").split():
        if applet != "busybox":
            (rootfs / "bin" / applet).symlink_to("busybox")
    (rootfs / "bin/garbage").write_bytes(b"\0no program\n")
    (rootfs / "bin/garbage").chmod(0o755)
    (rootfs / "etc/passwd").write_text(_PASSWD)
    (rootfs / "etc/group").write_text(_GROUP)
