"""Starting programs in a new user namespace, as root there, with the ids of a map."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

import msgspec

from firkin.domain.errors import MissingTool, PermissionMissing
from firkin.domain.id_map import IdMap, IdRanges

from .obstacles import namespace_obstacle

_PROGRAM_SECONDS = 30.0
# Tells on standard input, a socket, that the namespace is made, and waits there until somebody has written the map:
# only then execve(2) makes it root.
_HELD = 'echo >&0 && read _ && exec "$@" </dev/null'


class EndedProgram(msgspec.Struct, frozen=True):
    """What `run_inside` came to."""

    status: int
    output: str


def held_command(unshare: str, command: Sequence[str]) -> list[str]:
    """A command that makes a user namespace and waits on its standard input, a socket, for `release`."""
    return [unshare, "--user", "--", "/bin/sh", "-c", _HELD, "sh", *command]


def release(pid: int, gate: socket.socket, id_map: IdMap, search_path: str) -> bool:
    """Wait until the held process is in its namespace, write its map and let it go on; False when it has ended.

    Blocks, at most a minute.

    Raises:
        PermissionMissing: the map was refused.
    """
    gate.settimeout(_PROGRAM_SECONDS)
    try:
        if not gate.recv(1):
            return False
        _write_map(pid, id_map, search_path)
        gate.sendall(b"\n")
    except (ConnectionError, TimeoutError):
        return False
    return True


def run_inside(command: Sequence[str], id_map: IdMap, search_path: str) -> EndedProgram:
    """Run a program to its end in a user namespace of its own, where it may do what it likes with the map's ids.

    Raises:
        MissingTool: unshare is not installed.
        PermissionMissing: the kernel, or the administrator, allows no such namespace.
    """
    unshare = shutil.which("unshare", path=search_path)
    if unshare is None:
        raise MissingTool("unshare", "making a user namespace", "util-linux")
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            process = subprocess.Popen(
                held_command(unshare, command),
                stdin=theirs.fileno(),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd="/",
                start_new_session=True,  # Ctrl-C must not end what tidies up
            )
        try:
            released = release(process.pid, ours, id_map, search_path)
            output = process.communicate()[0].decode("utf-8", "replace")
        except BaseException:
            process.kill()
            process.communicate()
            raise
    if not released:
        raise PermissionMissing(f"make a user namespace ({output.strip()})", namespace_obstacle())
    return EndedProgram(process.returncode, output)


def _write_map(pid: int, id_map: IdMap, search_path: str) -> None:
    if id_map.is_single:
        _write_single_map(pid, id_map)
        return
    grants = [
        _granting(program, pid, ranges, search_path)
        for program, ranges in (("newuidmap", id_map.users), ("newgidmap", id_map.groups))
    ]
    problems = [problem for grant in grants if (problem := _problem_of(grant))]
    if problems:
        remedy = "see to it that newuidmap and newgidmap are set-user-id root: sudo apt-get install --reinstall uidmap"
        raise PermissionMissing(f"use the ids of /etc/subuid and /etc/subgid ({'; '.join(problems)})", remedy)


def _write_single_map(pid: int, id_map: IdMap) -> None:
    try:
        # Who may not change groups cannot drop one that denies him something; so the kernel wants it said.
        Path(f"/proc/{pid}/setgroups").write_text("deny")
        Path(f"/proc/{pid}/gid_map").write_text(f"{id_map.groups}\n")
        Path(f"/proc/{pid}/uid_map").write_text(f"{id_map.users}\n")
    except OSError as error:
        raise PermissionMissing(
            f"write the map of a user namespace ({error.strerror})", namespace_obstacle()
        ) from error


def _granting(program: str, pid: int, ranges: IdRanges, search_path: str) -> subprocess.Popen[str]:
    numbers = [str(number) for one in ranges.ranges for number in (one.inside, one.outside, one.count)]
    path = shutil.which(program, path=search_path) or program
    try:
        return subprocess.Popen(
            [path, str(pid), *numbers], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, env={"PATH": search_path, "LC_ALL": "C"}, start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        raise MissingTool(program, "using subordinate ids", "uidmap") from error


def _problem_of(grant: subprocess.Popen[str]) -> str:
    try:
        output, _ = grant.communicate(timeout=_PROGRAM_SECONDS)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(OSError):
            grant.kill()
        grant.communicate()
        return f"{os.fspath(str(grant.args))} did not end"
    return output.strip() if grant.returncode else ""
