"""Linux capabilities of a container (capabilities(7))."""

from __future__ import annotations

from collections.abc import Iterable

ALL_CAPABILITIES = (
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID",
    "CAP_SETUID", "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_IPC_LOCK", "CAP_IPC_OWNER", "CAP_SYS_MODULE", "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT", "CAP_SYS_PTRACE", "CAP_SYS_PACCT", "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE", "CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE", "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL", "CAP_SETFCAP", "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG", "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND", "CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE",
)  # fmt: skip

# podman's default set: docker's without MKNOD, NET_RAW and AUDIT_WRITE, which untrusted code abuses most.
DEFAULT_CAPABILITIES = (
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_NET_BIND_SERVICE", "CAP_SETFCAP",
    "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_CHROOT",
)  # fmt: skip


def normalised_capability(name: str) -> str:
    """Return `CAP_NET_ADMIN` for `net_admin`, `NET_ADMIN` and `CAP_NET_ADMIN`.

    Raises:
        ValueError: Linux has no such capability.
    """
    upper = name.upper()
    full = upper if upper.startswith("CAP_") else f"CAP_{upper}"
    if full not in ALL_CAPABILITIES:
        raise ValueError(f"{name!r} is not a Linux capability")
    return full


def chosen_capabilities(
    add: Iterable[str], drop: Iterable[str], start: Iterable[str] = DEFAULT_CAPABILITIES
) -> tuple[str, ...]:
    """The set `start` without `drop` and with `add`, in the kernel's order.

    As docker has it: `ALL` dropped leaves `add` alone, and `ALL` added means all but those dropped.

    Raises:
        ValueError: a name is not a capability.
    """
    added, add_all = _named(add)
    dropped, drop_all = _named(drop)
    if drop_all:
        chosen = set(ALL_CAPABILITIES) if add_all else added
    elif add_all:
        chosen = set(ALL_CAPABILITIES) - dropped
    else:
        chosen = (set(start) - dropped) | added
    return tuple(name for name in ALL_CAPABILITIES if name in chosen)


def _named(names: Iterable[str]) -> tuple[set[str], bool]:
    upper = {name.upper() for name in names}
    return {normalised_capability(name) for name in upper - {"ALL"}}, "ALL" in upper
