"""A Debian system with small services, as their packages install them, for pods of Kubernetes manifests."""

from __future__ import annotations

import platform
from pathlib import Path

from .cache import cached
from .tools import run, say

_PACKAGES = (
    "beanstalkd", "dnsmasq-base", "haproxy", "lighttpd", "mosquitto", "mosquitto-clients", "nginx-light", "openssl",
    "python3", "redis-server", "rsync", "socat", "sqlite3", "tinyproxy-bin", "wget",
)  # fmt: skip
# What a container does not read, and a layer would only carry along.
_LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")


def services_layout() -> Path:
    """The image's OCI layout; its tag `latest` runs a shell, as root."""
    return cached("services", _make, ("services.py",))


def _make(directory: Path) -> None:
    work = directory / "work"
    work.mkdir()
    layout = directory / "layout"
    image = f"{layout}:latest"
    say("  services: bootstrapping (1/2)")
    release = platform.freedesktop_os_release()
    suite = release.get("VERSION_CODENAME", "stable") if release["ID"] == "debian" else "stable"
    lists = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]
    sources = [
        path
        for path in lists
        if path.suffix in (".list", ".sources") and path.is_file() and suite in path.read_text().split()
    ]
    left_out = [f"--dpkgopt=path-exclude={pattern}" for pattern in _LEFT_OUT]
    include = f"--include={','.join(_PACKAGES)}"
    run("mmdebstrap", "--variant=minbase", *left_out, include, suite, work / "base.tar", *sources)
    say("  services: its layer (2/2)")
    run("umoci", "init", "--layout", layout)
    run("umoci", "new", "--image", image)
    run("umoci", "raw", "add-layer", "--image", image, work / "base.tar")
    run(
        "umoci", "config", "--image", image, "--config.cmd", "/bin/bash", "--config.env",
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    )  # fmt: skip
    run("umoci", "gc", "--layout", layout)
    run("busybox", "rm", "-r", work)
