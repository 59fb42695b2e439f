"""Why a machine lets nobody but root make user namespaces, and what mends it."""

from __future__ import annotations

from pathlib import Path

_SETTINGS = (
    ("kernel.unprivileged_userns_clone", "0", "sudo sysctl -w kernel.unprivileged_userns_clone=1"),
    ("user.max_user_namespaces", "0", "sudo sysctl -w user.max_user_namespaces=15000"),
    (
        "kernel.apparmor_restrict_unprivileged_userns",
        "1",
        "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
    ),
)
_ANY = "run as root, or let the administrator allow user namespaces to ordinary users"


def namespace_obstacle() -> str:
    """The command that mends the first setting in the way; general advice where no setting is known to be."""
    return next((remedy for name, value, remedy in _SETTINGS if _setting(name) == value), _ANY)


def _setting(name: str) -> str:
    try:
        return Path("/proc/sys", *name.split(".")).read_text().strip()
    except OSError:
        return ""
