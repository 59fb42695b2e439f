"""Whether pods can run for the user who asks, and what he lacks beside root; tried out where looking does not tell."""

from __future__ import annotations

import os
from collections.abc import Iterator

from firkin.domain.errors import MissingTool, PermissionMissing
from firkin.domain.id_map import IdMap
from firkin.user_namespace import id_map_of_user, namespace_obstacle, run_inside, single_id_map, user_name

from .check import Check, Verdict

_SANDBOX = ("unshare", "--fork", "--pid", "--mount", "--uts", "--ipc", "--net", "--mount-proc", "--", "true")


def user_checks(search_path: str) -> Iterator[Check]:
    """Root needs nothing more; everybody else a user namespace, and ids for the users of images."""
    uid = os.geteuid()
    if uid == 0:
        yield Check("user", Verdict.OK, "root")
        return
    yield Check("user", Verdict.OK, f"{user_name(uid)} (uid {uid}): pods run in a user namespace")
    namespaces = _user_namespaces(search_path)
    yield namespaces
    if namespaces.verdict is Verdict.OK:
        yield _subordinate_ids(search_path)


def _user_namespaces(search_path: str) -> Check:
    name = "user namespaces"
    try:
        tried = run_inside(_SANDBOX, single_id_map(), search_path)
    except PermissionMissing as error:
        return Check(name, Verdict.MISSING, f"may not {error.action}", error.remedy)
    except MissingTool as error:
        return Check(name, Verdict.MISSING, f"{error.tool} is not installed", f"sudo apt-get install {error.package}")
    if tried.status != 0:
        detail = f"no sandbox can be made in one: {tried.output.strip() or f'status {tried.status}'}"
        return Check(name, Verdict.MISSING, detail, namespace_obstacle())
    return Check(name, Verdict.OK, "sandboxes can be made in them")


def _subordinate_ids(search_path: str) -> Check:
    name = "subordinate ids"
    id_map = id_map_of_user(search_path)
    if id_map.is_single:
        detail = f"{id_map.shortfall}; containers can only run as root, and files of images belong to root"
        return Check(name, Verdict.NOTE, detail, id_map.remedy)
    try:
        run_inside(("true",), id_map, search_path)
    except PermissionMissing as error:
        return Check(name, Verdict.MISSING, f"may not {error.action}", error.remedy)
    return Check(name, Verdict.OK, _told(id_map))


def _told(id_map: IdMap) -> str:
    users = ", ".join(f"{one.outside}-{one.outside + one.count - 1}" for one in id_map.users.ranges[1:])
    return f"users 1 to {id_map.users.total - 1} of containers are {users} here"
