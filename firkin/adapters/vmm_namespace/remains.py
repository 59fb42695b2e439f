"""What is left of sandboxes whose hosts were killed: processes, control groups, mounts, sockets."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import shutil
import signal
from pathlib import Path

from firkin.host_side.socket_directory import abandoned, abandoned_now
from firkin.ports.leftovers import Leftover

from .cgroups import group_directories, group_name, kill_groups, remove_abandoned
from .hierarchies import unescaped

KIND = "sandbox"
_ENDING_SECONDS = 5.0
_KILLED_SECONDS = 10.0
_POLL_SECONDS = 0.02
_MNT_DETACH = 2
_AGENT = b"firkin.vminitd"

_libc = ctypes.CDLL(None, use_errno=True)


class SandboxLeftovers:
    """Keeps the port Leftovers for sandboxes of a runtime directory, whose owners hold locks on their directories."""

    def __init__(self, runtime_dir: Path) -> None:
        """Touch nothing yet."""
        self._runtime_dir = runtime_dir.absolute()

    async def found(self) -> tuple[Leftover, ...]:
        """Sandboxes whose hosts are gone, with what they still have."""
        return tuple(Leftover(KIND, str(path), _described(path)) for path in abandoned_now(self._runtime_dir))

    async def remove(self, leftover: Leftover) -> str:
        """End what runs in a sandbox, which may take some seconds, and remove all that is left of it."""
        path = Path(leftover.name)
        with abandoned(self._runtime_dir, path) as directories:
            return await _removed(path) if path in directories else ""


def _described(directory: Path) -> str:
    counts = {
        "processes": len(_processes(directory)),
        "control groups": len(group_directories(group_name(directory))),
        "mounts": len(_mounts(directory)),
    }
    return ", ".join(f"{count} {what}" for what, count in counts.items() if count)


async def _removed(directory: Path) -> str:
    """A sandbox notices by itself that its host is gone, and ends in order; one that hangs is killed."""
    if not await _ended_within(directory, _ENDING_SECONDS):
        kill_groups(group_name(directory))
        for pid in _processes(directory):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if not await _ended_within(directory, _KILLED_SECONDS):
            return f"processes {', '.join(map(str, _processes(directory)))} do not end"
    for mount in reversed(_mounts(directory)):
        if _libc.umount2(os.fsencode(mount), _MNT_DETACH) != 0:
            return f"{mount} cannot be unmounted: {os.strerror(ctypes.get_errno())}"
    if not remove_abandoned(group_name(directory)):
        return "its control groups are busy"
    try:
        shutil.rmtree(directory)
    except OSError as error:
        return f"{error.filename} cannot be removed: {error.strerror}"
    return ""


async def _ended_within(directory: Path, seconds: float) -> bool:
    deadline = asyncio.get_running_loop().time() + seconds
    while _processes(directory) or not remove_abandoned(group_name(directory)):
        if asyncio.get_running_loop().time() > deadline:
            return False
        await asyncio.sleep(_POLL_SECONDS)
    return True


def _processes(directory: Path) -> list[int]:
    """Who holds this sandbox: the agent is told its directory, whose name is unique; a machine is named after it."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            arguments = (entry / "cmdline").read_bytes().split(b"\0")
            if _is_agent(arguments, os.fsencode(directory)) or _is_machine(arguments, group_name(directory).encode()):
                found.append(int(entry.name))
    return found


def _is_agent(arguments: list[bytes], directory: bytes) -> bool:
    return _AGENT in arguments and directory in arguments


def _is_machine(arguments: list[bytes], name: bytes) -> bool:
    return b"-name" in arguments and name in arguments


def _mounts(directory: Path) -> list[str]:
    """Mount points in or below the directory, the outermost first (proc(5), mountinfo)."""
    points = [unescaped(line.split(" ")[4]) for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return [point for point in points if Path(point).is_relative_to(directory)]
