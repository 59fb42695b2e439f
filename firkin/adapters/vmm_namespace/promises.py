"""What a namespace sandbox enforces on this machine; found out by looking only."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

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
from firkin.user_namespace import id_map_of_user

from .hierarchies import WANTED, hierarchies, missing_controller

_LOOP_CONTROL = Path("/dev/loop-control")
_DISK_LIMIT, _LAYER_LIMIT = "disk emptyDir size limit", "writable layer size limit"


def capabilities(search_path: str) -> Capabilities:
    """Every promise, in the order of a report; programs are looked up on `search_path`."""
    trees = hierarchies()
    controllers = frozenset().union(*(tree.usable_controllers() for tree in trees))
    isolation = [
        Capability("process isolation", Promise.ENFORCED),
        Capability("network isolation", Promise.ENFORCED, "loopback only"),
        Capability("kernel isolation", Promise.UNAVAILABLE, "containers share the host's kernel"),
        *_users(search_path),
        *_files_of_images(),
        _seccomp(),
    ]
    limits = [_limit(controller, controllers) for controller in WANTED]
    told = [_out_of_memory(controllers), _statistics(controllers, 1 in {tree.version for tree in trees})]
    shown = [Capability(HOST_PATHS, Promise.ENFORCED, "those that the configuration allows, and nothing beside them")]
    stores = [
        Capability("memory emptyDir size limit", Promise.ENFORCED, "by its tmpfs"),
        *_disk_limits(search_path),
        *_stores(),
    ]
    return Capabilities("namespace", (*isolation, *limits, *told, *stores, *shown))


def _stores() -> list[Capability]:
    limit, trim = "store size limit", "store trim"
    if os.geteuid() != 0:
        reason = "an ordinary user has directory stores only, for an ext4 store is mounted by a loop device"
        return [Capability(name, Promise.UNAVAILABLE, reason) for name in (limit, trim)]
    return [
        Capability(limit, Promise.BEST_EFFORT, "enforced by an ext4 store, not by a directory store"),
        Capability(trim, Promise.BEST_EFFORT, "an ext4 store gives blocks back, a directory has none to give"),
    ]


def _limit(controller: str, controllers: frozenset[str]) -> Capability:
    name = f"{controller} limit"
    if controller not in controllers:
        return Capability(name, Promise.UNAVAILABLE, missing_controller(controller))
    return Capability(name, Promise.ENFORCED)


def _out_of_memory(controllers: frozenset[str]) -> Capability:
    if "memory" in controllers:
        return Capability(OOM_REPORTS, Promise.ENFORCED, "counted by the container's control group")
    reason = f"such a kill is told as one by SIGKILL: {missing_controller('memory')}"
    return Capability(OOM_REPORTS, Promise.UNAVAILABLE, reason)


def _statistics(controllers: frozenset[str], is_version1: bool) -> Capability:
    """Version 1 accounts for processor time by a controller of its own."""
    missing = [each for each in ("cpuacct" if is_version1 else "cpu", "memory", "pids") if each not in controllers]
    if not missing:
        return Capability(STATISTICS, Promise.ENFORCED, "of the container's control group")
    reason = f"in part added up over the processes that live: {missing_controller(missing[0])}"
    return Capability(STATISTICS, Promise.BEST_EFFORT, reason)


def _users(search_path: str) -> list[Capability]:
    """Whose ids the containers' users are on the host, and which of them there are."""
    isolation, users = "user isolation", IMAGE_USERS
    if os.geteuid() == 0:
        reason = "root in a container is root's id on the host; run as an ordinary user for a user namespace"
        return [Capability(isolation, Promise.UNAVAILABLE, reason), Capability(users, Promise.ENFORCED, "every id")]
    id_map = id_map_of_user(search_path)
    isolated = Capability(isolation, Promise.ENFORCED, "by a user namespace: root in a container is this user outside")
    if id_map.is_single:
        reason = f"only root, for there are no further ids ({id_map.shortfall}): {id_map.remedy}"
        return [isolated, Capability(users, Promise.BEST_EFFORT, reason)]
    return [isolated, Capability(users, Promise.ENFORCED, f"ids 0 to {id_map.users.total - 1}")]


def _files_of_images() -> list[Capability]:
    """What only the host's root can make; `firkin images` tells of each image what is not in its templates."""
    if os.geteuid() == 0:
        return [Capability(name, Promise.ENFORCED) for name in (IMAGE_DEVICES, IMAGE_ATTRIBUTES)]
    empty = "only root can make device files: an empty file is in the place of each"
    some = "those of the classes trusted and security, but for capabilities of files, are left out: only root sets them"
    return [
        Capability(IMAGE_DEVICES, Promise.UNAVAILABLE, empty),
        Capability(IMAGE_ATTRIBUTES, Promise.BEST_EFFORT, some),
    ]


def _disk_limits(search_path: str) -> list[Capability]:
    """What is held to a size by a filesystem in a file."""
    reason = _disk_limit_obstacle(search_path)
    if not reason:
        how = "by a filesystem image of its own"
        return [Capability(name, Promise.ENFORCED, how) for name in (_DISK_LIMIT, _LAYER_LIMIT)]
    return [Capability(name, Promise.UNAVAILABLE, reason) for name in (_DISK_LIMIT, _LAYER_LIMIT)]


def _disk_limit_obstacle(search_path: str) -> str:
    if os.geteuid() != 0:
        return "needs a loop device, which only root can mount; limit an emptyDir in memory instead"
    if not os.access(_LOOP_CONTROL, os.R_OK | os.W_OK):
        return f"{_LOOP_CONTROL} cannot be opened: no loop devices"
    if shutil.which("mke2fs", path=search_path) is None:
        return "mke2fs is not installed: apt-get install e2fsprogs"
    return ""


def _seccomp() -> Capability:
    if Path("/proc/sys/kernel/seccomp/actions_avail").exists():
        return Capability("seccomp", Promise.ENFORCED, "by the OCI runtime, when it is built with libseccomp")
    return Capability("seccomp", Promise.UNAVAILABLE, "the kernel has no seccomp filters")
