"""The parts of the OCI runtime specification 1.1 that firkin writes (config.md, config-linux.md).

Keys that some agents require are always written, though the specification allows their absence, as long as crun
takes them when empty: `linux.resources.devices` and `hugepageLimits`. The others are UNSET until asked for.
"""

from __future__ import annotations

import msgspec

from .mounts import Mount

OCI_VERSION = "1.1.0"


class Root(msgspec.Struct, frozen=True, rename="camel"):
    """The root filesystem: an absolute path of the sandbox."""

    path: str
    readonly: bool = False


class User(msgspec.Struct, frozen=True, rename="camel"):
    """Whom a process runs as.

    Attributes:
        username: `user[:group]` that the agent resolves against the rootfs; OCI runtimes ignore it.
        uid, gid, additional_gids: what it was resolved to.
    """

    uid: int = 0
    gid: int = 0
    additional_gids: tuple[int, ...] = ()
    username: str = ""


class LinuxCapabilities(msgspec.Struct, frozen=True, omit_defaults=True):
    """The capability sets of a process; inheritable and ambient stay empty."""

    bounding: tuple[str, ...] = ()
    effective: tuple[str, ...] = ()
    permitted: tuple[str, ...] = ()
    inheritable: tuple[str, ...] = ()
    ambient: tuple[str, ...] = ()


class Rlimit(msgspec.Struct, frozen=True):
    """One limit of setrlimit(2)."""

    type: str
    hard: int
    soft: int


class ConsoleSize(msgspec.Struct, frozen=True):
    """The first size of a process's terminal, in rows and columns."""

    height: int
    width: int


class Process(msgspec.Struct, frozen=True, rename="camel"):
    """The process to run (config.md "Process")."""

    cwd: str
    args: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    user: User = User()
    terminal: bool = False
    capabilities: LinuxCapabilities = LinuxCapabilities()
    no_new_privileges: bool = True
    rlimits: tuple[Rlimit, ...] = ()
    console_size: ConsoleSize | msgspec.UnsetType = msgspec.UNSET


class LinuxNamespace(msgspec.Struct, frozen=True):
    """A namespace: a new one when there is no `path`. crun takes an empty path for a file's name."""

    type: str
    path: str | msgspec.UnsetType = msgspec.UNSET


class LinuxDeviceCgroup(msgspec.Struct, frozen=True, omit_defaults=True):
    """A rule of the device controller; an absent major or minor number means every one."""

    allow: bool
    access: str
    type: str = ""
    major: int | None = None
    minor: int | None = None


class LinuxMemory(msgspec.Struct, frozen=True, omit_defaults=True):
    """Bytes: `limit` of memory, `swap` of memory and swap together."""

    limit: int | None = None
    swap: int | None = None


class LinuxCpu(msgspec.Struct, frozen=True, omit_defaults=True):
    """Microseconds of processor time (`quota`) in each `period`; lists of processors and memory nodes."""

    quota: int | None = None
    period: int | None = None
    cpus: str | msgspec.UnsetType = msgspec.UNSET
    mems: str | msgspec.UnsetType = msgspec.UNSET


class LinuxPids(msgspec.Struct, frozen=True):
    """How many processes and threads there may be."""

    limit: int


class LinuxHugepageLimit(msgspec.Struct, frozen=True, rename="camel"):
    """Bytes of huge pages of one size."""

    page_size: str
    limit: int


class LinuxResources(msgspec.Struct, frozen=True, rename="camel"):
    """Control group settings (config-linux.md "Control groups")."""

    devices: tuple[LinuxDeviceCgroup, ...] = ()
    hugepage_limits: tuple[LinuxHugepageLimit, ...] = ()
    memory: LinuxMemory | msgspec.UnsetType = msgspec.UNSET
    cpu: LinuxCpu | msgspec.UnsetType = msgspec.UNSET
    pids: LinuxPids | msgspec.UnsetType = msgspec.UNSET


class SeccompArg(msgspec.Struct, frozen=True, rename="camel"):
    """A condition on argument number `index` of a system call."""

    index: int
    value: int
    op: str
    value_two: int | msgspec.UnsetType = msgspec.UNSET


class SeccompSyscalls(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What happens on these system calls, when all conditions hold."""

    names: tuple[str, ...]
    action: str
    errno_ret: int | None = None
    args: tuple[SeccompArg, ...] = ()


class LinuxSeccomp(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A filter of system calls (config-linux.md "Seccomp")."""

    default_action: str
    default_errno_ret: int | None = None
    architectures: tuple[str, ...] = ()
    syscalls: tuple[SeccompSyscalls, ...] = ()


class Linux(msgspec.Struct, frozen=True, rename="camel"):
    """What only Linux has."""

    cgroups_path: str = ""
    namespaces: tuple[LinuxNamespace, ...] = ()
    resources: LinuxResources = LinuxResources()
    masked_paths: tuple[str, ...] = ()
    readonly_paths: tuple[str, ...] = ()
    sysctl: dict[str, str] | msgspec.UnsetType = msgspec.UNSET
    seccomp: LinuxSeccomp | msgspec.UnsetType = msgspec.UNSET


class RuntimeSpec(msgspec.Struct, frozen=True, rename="camel"):
    """A container for an OCI runtime: the content of its bundle's config.json."""

    process: Process
    root: Root
    mounts: tuple[Mount, ...] = ()
    hostname: str = ""
    linux: Linux = Linux()
    oci_version: str = OCI_VERSION
