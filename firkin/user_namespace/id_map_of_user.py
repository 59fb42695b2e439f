"""The ids that the containers of this user get."""

from __future__ import annotations

import os
import shutil

from firkin.domain.id_map import IdMap, IdRanges

from .subordinate_ids import GROUPS_FILE, USERS_FILE, granting_command, subordinate_ranges, user_name

PROGRAMS = ("newuidmap", "newgidmap")
"""They are set-user-id root and grant what subuid(5) allows; package uidmap."""


def single_id_map() -> IdMap:
    """Root alone, which needs no grant."""
    return IdMap(IdRanges.packed(os.geteuid()), IdRanges.packed(os.getegid()))


def id_map_of_user(search_path: str) -> IdMap:
    """Root and the user's subordinate ids; root alone where those, or the programs that grant them, are missing."""
    uid, gid = os.geteuid(), os.getegid()
    missing = [name for name in PROGRAMS if shutil.which(name, path=search_path) is None]
    ranges = [(file, subordinate_ranges(file, uid)) for file in (USERS_FILE, GROUPS_FILE)]
    lacking = [str(file) for file, found in ranges if not found]
    if missing:
        shortfall, remedy = f"{' and '.join(missing)} not installed", "sudo apt-get install uidmap"
    elif lacking:
        shortfall = f"no range for {user_name(uid)} in {' and '.join(lacking)}"
        remedy = granting_command(uid)
    else:
        (_, users), (_, groups) = ranges
        return IdMap(IdRanges.packed(uid, users), IdRanges.packed(gid, groups))
    return IdMap(IdRanges.packed(uid), IdRanges.packed(gid), shortfall, remedy)
