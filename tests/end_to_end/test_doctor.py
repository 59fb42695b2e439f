from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from .command import Command

EXPECTED = {
    "python", "kernel", "compiled kernels", "user", "namespaces", "overlayfs", "loop devices", "control groups",
    "crun", "unshare", "mke2fs", "catatonit", "slirp4netns", "tun device", "state directory", "runtime directory",
    "virtual machines", "kvm", "vsock",
}  # fmt: skip


def test_doctor_says_that_pods_run_here(firkin: Command) -> None:
    done = firkin.run("doctor")
    assert done.code == 0, done.stdout.decode()
    assert b"Pods can run here." in done.stdout
    assert b"disk emptyDir size limit" in done.stdout
    assert b"choose them with --vmm qemu" in done.stdout


def test_doctor_speaks_json(firkin: Command) -> None:
    done = firkin.run("doctor", "--json")
    told = json.loads(done.stdout)
    assert told["ready"] is True
    assert {check["name"] for check in told["checks"]} == EXPECTED
    promises = {one["name"]: (one["promise"], one["reason"]) for one in told["promises"]}
    assert promises["disk emptyDir size limit"] == ("enforced", "by a filesystem image of its own")
    assert promises["kernel isolation"][0] == "not here"
    assert promises["host paths"][0] == "enforced"
    for name in ("users of images", "devices of images", "attributes of images"):
        assert promises[name][0] == "enforced"


def test_doctor_names_the_command_that_mends_what_is_missing(firkin: Command, tmp_path: Path) -> None:
    done = firkin.run("doctor", env={"PATH": _path_without(tmp_path, "crun")})
    assert done.code == 1
    line = next(line for line in done.stdout.decode().splitlines() if " crun " in line)
    assert line.startswith("missing")
    assert "apt-get install crun" in line


def test_doctor_names_what_virtual_machines_need(firkin: Command, tmp_path: Path) -> None:
    done = firkin.run("doctor", env={"PATH": _path_without(tmp_path, "mkfs.erofs")})
    line = next(line for line in done.stdout.decode().splitlines() if " virtual machines " in line)
    assert line.startswith("note")
    assert "apt-get install qemu-system-x86 util-linux erofs-utils busybox-static" in line


def _path_without(directory: Path, tool: str) -> str:
    """A PATH with the tools that sandboxes need, but one."""
    for name in ("crun", "unshare", "mke2fs", "mount", "umount", "sh"):
        found = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin")
        if name != tool and found is not None:
            (directory / name).symlink_to(found)
    return str(directory)
