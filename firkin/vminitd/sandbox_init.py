"""Makes a set of fresh namespaces into a sandbox: what vminitd does first when it is init (PID 1).

The namespaces exist already (`unshare` made them) and still show the host's mounts. Every step here happens
inside them: nothing of the host changes. A failing step raises OSError whose message names it, and vminitd ends.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import stat
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from firkin.domain.layout import HOST_PATHS

from .control_groups import CGROUP_ROOT, are_writable
from .host_paths import held_host_paths
from .user_namespace import in_user_namespace

HOST_DIRECTORY = "/run/firkin/host"
STORE_MEDIUM = "/run/firkin/store-medium"

# linux/mount.h
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
_MS_BIND = 0x1000
_MS_REC = 0x4000
_MS_PRIVATE = 0x40000
SECURE = MS_NOSUID | MS_NODEV | MS_NOEXEC

# linux/sockios.h, linux/if.h, linux/magic.h
_SIOCGIFFLAGS = 0x8913
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 0x1
_IFREQ = struct.Struct("16sh22x")
_CGROUP2_SUPER_MAGIC = 0x63677270

_libc = ctypes.CDLL(None, use_errno=True)


def set_up_sandbox(
    host_dir: str, host_name: str, store_directory: str | None, host_paths: Sequence[tuple[str, str, str, str]] = ()
) -> str:
    """Turn this process's own namespaces into a sandbox; returns the new path of `host_dir`.

    Afterwards /run is the sandbox's own, `host_dir` (the socket directory) is `/run/firkin/host`, a store that
    is a directory of the host is `/run/firkin/store-medium`, /sys/fs/cgroup shows the sandbox's control groups
    and nothing above them, the host name is set and the loopback interface is up. /tmp stays the host's: the
    interpreter and its packages may lie there, and no container sees it.

    Raises:
        OSError: a step was refused; its message says which.
    """
    mount("none", "/", "", _MS_REC | _MS_PRIVATE)
    with _held(host_dir) as host, _held(store_directory) as store, held_host_paths(host_paths) as shown:
        mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755")
        _bind(host, HOST_DIRECTORY)
        _bind(store, STORE_MEDIUM)
        for name, descriptor in shown.items():
            _bind(descriptor, str(HOST_PATHS.below(name)))
    if os.path.isdir("/dev/shm"):
        mount("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777")
    _show_own_cgroups()
    with step("set the host name"):
        socket.sethostname(host_name)
    with step("bring the loopback interface up"):
        bring_up("lo")
    return HOST_DIRECTORY


@contextmanager
def step(what: str) -> Iterator[None]:
    """Name the step in the message of an OSError that the body raises."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, f"cannot {what}: {error.strerror}") from error


@contextmanager
def _held(directory: str | None) -> Iterator[int | None]:
    """Hold a directory open, so that it can be reached after a mount has covered its path."""
    if directory is None:
        yield None
        return
    with step(f"open {directory}"):
        descriptor = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    """mount(2).

    Raises:
        OSError: its message names the filesystem and the place.
    """
    with step(f"mount {kind or source} on {target}"):
        arguments = (os.fsencode(text) for text in (source, target, kind))
        if _libc.mount(*arguments, ctypes.c_ulong(flags), os.fsencode(data)) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))


def _bind(descriptor: int | None, target: str) -> None:
    if descriptor is None:
        return
    if stat.S_ISDIR(os.fstat(descriptor).st_mode):
        os.makedirs(target, mode=0o755)
    else:
        os.makedirs(os.path.dirname(target), mode=0o755, exist_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    # A bind is recursive, because what the host mounted below a store belongs to the store.
    mount(f"/proc/self/fd/{descriptor}", target, "", _MS_BIND | _MS_REC)


def _show_own_cgroups() -> None:
    """Cover the host's control groups by a view that begins at the sandbox's own."""
    if not os.path.isdir(CGROUP_ROOT):
        return
    is_version2 = _filesystem_magic(CGROUP_ROOT) == _CGROUP2_SUPER_MAGIC
    # Of version 1 none are delegated to who is not root: there a view of version 2 satisfies the OCI runtime.
    is_shown_as_version2 = is_version2 or in_user_namespace()
    hierarchies = [] if is_shown_as_version2 else _v1_hierarchies()
    mount("tmpfs", CGROUP_ROOT, "tmpfs", SECURE, "mode=755")
    if is_shown_as_version2:
        # On the tmpfs, because the kernel refuses to mount a filesystem right on top of itself.
        mount("cgroup2", CGROUP_ROOT, "cgroup2", SECURE)
        if are_writable():
            delegate_controllers()
    # In hybrid mode the v2 hierarchy is left out: it has no controllers, and crun refuses to run when it sees both.
    for controllers in hierarchies:
        name = controllers.removeprefix("name=")
        os.mkdir(f"{CGROUP_ROOT}/{name}", 0o755)
        mount("cgroup", f"{CGROUP_ROOT}/{name}", "cgroup", SECURE, controllers)
        for alias in controllers.split(",") if "," in controllers else ():
            os.symlink(name, f"{CGROUP_ROOT}/{alias}")


def _v1_hierarchies() -> list[str]:
    """The mounted cgroup v1 hierarchies, each as its controllers (cgroups(7), /proc/pid/cgroup)."""
    with open("/proc/self/cgroup") as lines:
        named = [line.split(":", 2)[1] for line in lines]
    return [controllers for controllers in named if controllers and _is_mounted(controllers)]


def _is_mounted(controllers: str) -> bool:
    return os.path.isdir(f"{CGROUP_ROOT}/{controllers.removeprefix('name=')}")


def delegate_controllers() -> None:
    """Let the containers' control groups have every controller that the sandbox has.

    No process may be in a cgroup that hands controllers on, so this one moves aside if whoever started it
    has not moved it already.
    """
    if _read(f"{CGROUP_ROOT}/cgroup.procs"):
        os.makedirs(f"{CGROUP_ROOT}/init", exist_ok=True)
        with step("move init into a control group of its own"):
            _write(f"{CGROUP_ROOT}/init/cgroup.procs", "0")
    for controller in _read(f"{CGROUP_ROOT}/cgroup.controllers").split():
        with step(f"hand the {controller} controller on to containers"):
            _write(f"{CGROUP_ROOT}/cgroup.subtree_control", f"+{controller}")


def _read(path: str) -> str:
    with open(path) as file:
        return file.read()


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)


class _StatFs(ctypes.Structure):
    """struct statfs: only its first word is of interest, the rest is room for the kernel to write into."""

    _fields_ = (("f_type", ctypes.c_long), ("_rest", ctypes.c_char * 248))


def _filesystem_magic(path: str) -> int:
    result = _StatFs()
    if _libc.statfs(os.fsencode(path), ctypes.byref(result)) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), path)
    return int(result.f_type)


def bring_up(interface: str) -> None:
    """Set the flag of an interface that lets it carry anything (netdevice(7))."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        name = interface.encode()
        answer = fcntl.ioctl(control, _SIOCGIFFLAGS, _IFREQ.pack(name, 0))
        flags = _IFREQ.unpack(answer)[1]
        fcntl.ioctl(control, _SIOCSIFFLAGS, _IFREQ.pack(name, flags | _IFF_UP))
