"""What a virtual machine enforces; touches nothing."""

from __future__ import annotations

from firkin.domain.host_paths import HOST_PATHS
from firkin.domain.reports import (
    IMAGE_ATTRIBUTES,
    IMAGE_DEVICES,
    IMAGE_USERS,
    OOM_REPORTS,
    STATISTICS,
    Capabilities,
    Capability,
    Promise,
)


def capabilities() -> Capabilities:
    """Every promise, in the order of a report."""
    enforced = (
        ("process isolation", ""),
        ("network isolation", "loopback only; with a user network, all that the host reaches but its own loopback"),
        ("kernel isolation", "the machine has a kernel of its own"),
        (IMAGE_USERS, "every id"),
        (IMAGE_DEVICES, ""),
        (IMAGE_ATTRIBUTES, ""),
        ("seccomp", "by the OCI runtime, when it is built with libseccomp"),
        ("memory limit", ""),
        ("cpu limit", ""),
        ("pids limit", ""),
        (OOM_REPORTS, "counted by the container's control group"),
        (STATISTICS, "of the container's control group"),
        ("memory emptyDir size limit", "by its tmpfs"),
        ("disk emptyDir size limit", "by a filesystem image of its own"),
        ("writable layer size limit", "by a project quota, or by a filesystem image for who could leave one"),
        ("store size limit", "by the ext4 image"),
        ("store trim", "unused blocks go back to the host's file"),
    )
    later = Capability(HOST_PATHS, Promise.UNAVAILABLE, "directories of the host in a virtual machine may come later")
    return Capabilities("qemu", (*(Capability(name, Promise.ENFORCED, reason) for name, reason in enforced), later))
