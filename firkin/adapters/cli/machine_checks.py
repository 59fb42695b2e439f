"""What firkin needs of a machine, one check each; nothing is changed by looking."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from firkin.domain.size import Size
from firkin.host_side.tun_device import TUN_DEVICE, tun_obstacle

from .check import Check, Verdict
from .services import Places
from .user_checks import user_checks

_QEMU = "qemu-system-x86_64"
_MACHINE_TOOLS = (
    (_QEMU, "qemu-system-x86"),
    ("setpriv", "util-linux"),
    ("mkfs.erofs", "erofs-utils"),
    ("busybox", "busybox-static"),
)
_SPACE_WANTED = Size.gib(2)
_NAMESPACES = ("mnt", "pid", "uts", "ipc", "net", "cgroup")
_VERSION_SECONDS = 10


def machine_checks(places: Places, kvm: Check, vhost_obstacle: str) -> Iterator[Check]:
    """Look at this machine, one check after the other.

    Args:
        places: where firkin keeps its files.
        kvm: what `kvm_check` came to.
        vhost_obstacle: why the kernel's vsock device cannot be used, or "".
    """
    yield _python()
    yield _kernel()
    yield _compiled_kernels()
    yield from user_checks(places.search_path)
    yield from (_namespaces(), _filesystem("overlay", "overlayfs"), _loop_devices(), _control_groups())
    path = places.search_path
    yield _tool(path, "crun", "crun", "runs the containers", Verdict.MISSING, ["--version"])
    yield _tool(path, "unshare", "util-linux", "makes the sandbox", Verdict.MISSING, ["--version"])
    yield _tool(path, "mke2fs", "e2fsprogs", "makes ext4 stores", Verdict.NOTE, ["-V"])
    yield _tool(path, "catatonit", "catatonit", "is the init of containers that want one", Verdict.NOTE, ["--version"])
    yield _tool(path, "slirp4netns", "slirp4netns", "makes --network user of namespaces", Verdict.NOTE, ["--version"])
    yield _tun_device()
    yield _space(places.state_dir)
    yield _writable("runtime directory", places.runtime_dir)
    yield _virtual_machines(path)
    yield kvm
    yield _vsock(vhost_obstacle)


def _python() -> Check:
    return Check("python", Verdict.OK, f"{platform.python_version()} at {sys.executable}")


def _kernel() -> Check:
    return Check("kernel", Verdict.OK, f"{platform.system()} {platform.release()} on {platform.machine()}")


def _compiled_kernels() -> Check:
    try:
        kernels = import_module("firkin._fast")
    except ImportError as error:
        return Check("compiled kernels", Verdict.MISSING, str(error), "make build")
    if getattr(kernels, "PURE_PYTHON", False):
        return Check("compiled kernels", Verdict.NOTE, "FIRKIN_PURE_PYTHON=1 asks for the slow ones in Python")
    return Check("compiled kernels", Verdict.OK, "loaded")


def _namespaces() -> Check:
    lacking = [name for name in _NAMESPACES if not Path(f"/proc/self/ns/{name}").exists()]
    required = [name for name in lacking if name != "cgroup"]
    if required:
        return Check("namespaces", Verdict.MISSING, f"the kernel lacks: {', '.join(required)}", "use another kernel")
    if lacking:
        return Check("namespaces", Verdict.NOTE, "the kernel lacks cgroup namespaces; the others are there")
    return Check("namespaces", Verdict.OK, ", ".join(_NAMESPACES))


def _filesystem(filesystem: str, name: str) -> Check:
    known = {line.split()[-1] for line in Path("/proc/filesystems").read_text("ascii").splitlines() if line.strip()}
    if filesystem in known:
        return Check(name, Verdict.OK, "the kernel has it")
    if Path("/lib/modules", platform.release(), "kernel/fs", f"{filesystem}fs").is_dir():
        return Check(name, Verdict.NOTE, "a module that is loaded at the first mount", f"modprobe {filesystem}")
    return Check(name, Verdict.MISSING, "the kernel does not have it", f"modprobe {filesystem}")


def _loop_devices() -> Check:
    control = Path("/dev/loop-control")
    if not control.exists():
        detail = "there is no /dev/loop-control, so ext4 stores cannot be mounted; directory stores can"
        return Check("loop devices", Verdict.NOTE, detail, "modprobe loop")
    if os.geteuid() != 0:
        detail = "only root can mount them: neither ext4 stores nor size limits of emptyDirs on disk for this user"
        return Check("loop devices", Verdict.NOTE, detail)
    if not os.access(control, os.R_OK | os.W_OK):
        return Check("loop devices", Verdict.NOTE, f"{control} may not be opened")
    return Check("loop devices", Verdict.OK, str(control))


def _control_groups() -> Check:
    root = Path("/sys/fs/cgroup")
    if (root / "cgroup.controllers").is_file():
        controllers = (root / "cgroup.controllers").read_text("ascii").split()
        return Check("control groups", Verdict.OK, f"version 2: {', '.join(controllers) or 'no controllers'}")
    first = (
        sorted(path.name for path in root.iterdir() if path.is_dir() and path.name != "unified")
        if root.is_dir()
        else []
    )
    if not first:
        return Check("control groups", Verdict.NOTE, "none are mounted: limits of containers are not enforced")
    if os.geteuid() != 0:
        detail = f"version 1 ({', '.join(first)}), which cannot be delegated: no limits for this user"
        return Check("control groups", Verdict.NOTE, detail)
    if (root / "unified" / "cgroup.procs").is_file():
        detail = "hybrid of versions 1 and 2: sandboxes see version 1 only, limits are enforced by its controllers"
        return Check("control groups", Verdict.OK, f"{detail} ({', '.join(first)})")
    return Check("control groups", Verdict.OK, f"version 1: {', '.join(first)}")


def _tool(path: str, name: str, package: str, purpose: str, verdict: Verdict, version: list[str]) -> Check:
    found = shutil.which(name, path=path)
    if found is None:
        return Check(name, verdict, f"not installed; it {purpose}", f"apt-get install {package}")
    return Check(name, Verdict.OK, f"{_version_line([found, *version]) or 'version unknown'} at {found}")


def _tun_device() -> Check:
    obstacle = tun_obstacle()
    if obstacle is None:
        return Check("tun device", Verdict.OK, str(TUN_DEVICE))
    detail = f"{obstacle.detail}, which --network user of namespaces needs; that of machines does without"
    return Check("tun device", Verdict.NOTE, detail, obstacle.remedy)


def _version_line(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_VERSION_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    # mke2fs says its version on standard error.
    return (done.stdout or done.stderr).strip().partition("\n")[0]


def _space(state_dir: Path) -> Check:
    existing = _existing_parent(state_dir)
    free = Size(shutil.disk_usage(existing).free)
    if not os.access(existing, os.W_OK):
        return Check("state directory", Verdict.MISSING, f"{state_dir} may not be written", f"chown $USER {existing}")
    if free < _SPACE_WANTED:
        detail = f"{state_dir} has {free} free; images need their unpacked size"
        return Check("state directory", Verdict.NOTE, detail, "export FIRKIN_STATE_DIR=...")
    return Check("state directory", Verdict.OK, f"{state_dir}, {free} free")


def _writable(name: str, directory: Path) -> Check:
    existing = _existing_parent(directory)
    if os.access(existing, os.W_OK):
        return Check(name, Verdict.OK, str(directory))
    return Check(name, Verdict.MISSING, f"{directory} may not be written", "export FIRKIN_RUNTIME_DIR=...")


def _existing_parent(path: Path) -> Path:
    return next(each for each in (path, *path.parents) if each.exists())


def _virtual_machines(path: str) -> Check:
    """Whether machines can run, and what is missing for it."""
    lacking = [(name, package) for name, package in _MACHINE_TOOLS if shutil.which(name, path=path) is None]
    if lacking:
        packages = " ".join(package for _, package in lacking)
        detail = f"{', '.join(name for name, _ in lacking)} not installed; `--vmm qemu` needs all of them"
        return Check("virtual machines", Verdict.NOTE, detail, f"apt-get install {packages}")
    version = _version_line([shutil.which(_QEMU, path=path) or _QEMU, "--version"])
    return Check("virtual machines", Verdict.OK, f"{version}; choose them with --vmm qemu")


def kvm_check(obstacle: str, finding: str | None) -> Check:
    """How fast machines are.

    Args:
        obstacle: why KVM cannot work, as far as a look tells; or "".
        finding: what came of the last machine that was tried with it: "" when it ran, None when none was tried.
    """
    if obstacle or finding:
        return Check("kvm", Verdict.NOTE, f"{obstacle or finding}: machines run without it, some thirty times slower")
    if finding is None:
        return Check("kvm", Verdict.OK, "it opens, and the processor has it; the first machine proves it by a boot")
    return Check("kvm", Verdict.OK, "a machine was seen to run by it since this computer was started")


def _vsock(vhost_obstacle: str) -> Check:
    if vhost_obstacle:
        return Check("vsock", Verdict.OK, f"by firkin's own device (vhost_user): {vhost_obstacle}")
    return Check("vsock", Verdict.OK, "by the kernel's device (vhost), where QEMU has it; --vsock decides otherwise")
