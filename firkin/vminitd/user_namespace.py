"""The ids that the sandbox has: all of the host's, or those of its user namespace (user_namespaces(7))."""

from __future__ import annotations

from functools import cache

from firkin.domain.id_map import IdRanges


def in_user_namespace() -> bool:
    """True when root is not the host's: then it cannot make devices, nor mount a filesystem of a device."""
    return not mapped_users().is_host


@cache
def mapped_users() -> IdRanges:
    """The user ids of the sandbox."""
    return _ranges("uid_map")


@cache
def mapped_groups() -> IdRanges:
    """The group ids of the sandbox."""
    return _ranges("gid_map")


def _ranges(name: str) -> IdRanges:
    with open(f"/proc/self/{name}", encoding="ascii") as file:
        return IdRanges.parse(file.read())
