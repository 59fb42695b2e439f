"""The ids that the administrator has given to users: /etc/subuid and /etc/subgid (subuid(5))."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from pathlib import Path

USERS_FILE = Path("/etc/subuid")
GROUPS_FILE = Path("/etc/subgid")
_FIRST_FREE = 100_000
_COUNT = 65_536


def subordinate_ranges(file: Path, uid: int) -> list[tuple[int, int]]:
    """First id and count of each of the user's ranges, in the file's order; both files name users."""
    owners = {str(uid), user_name(uid)}
    return [(first, count) for owner, first, count in _entries(file) if owner in owners and count > 0]


def granting_command(uid: int) -> str:
    """The command by which an administrator gives the user ids that nobody else has."""
    first = max((first + count for file in (USERS_FILE, GROUPS_FILE) for _, first, count in _entries(file)), default=0)
    first = max(first, _FIRST_FREE)
    ids = f"{first}-{first + _COUNT - 1}"
    return f"sudo usermod --add-subuids {ids} --add-subgids {ids} {user_name(uid)}"


def user_name(uid: int) -> str:
    """The user's name; the number of one who is in no list of users."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _entries(file: Path) -> Iterator[tuple[str, int, int]]:
    try:
        lines = os.fsdecode(file.read_bytes()).splitlines()
    except OSError:
        return
    for line in lines:
        fields = line.strip().split(":")
        if len(fields) == 3 and fields[1].isdecimal() and fields[2].isdecimal():
            yield fields[0], int(fields[1]), int(fields[2])
