"""What a pod could leave on the machine, counted before and after."""

from __future__ import annotations

import contextlib
import gc
import os
import threading
from collections import Counter
from pathlib import Path

import grpc.aio
import msgspec

# gRPC closes its sockets in threads of its own; the kernel unmounts what a killed process had mounted, and frees the
# loop devices below, after the process has gone.
_GIVEN_BACK_LATER = {"descriptors", "loop_devices"}
_LOOKS = 3000
_LOOK_SECONDS = 0.02


class MachineState(msgspec.Struct, frozen=True):
    """Everything of firkin's that exists on this machine now."""

    mounts: frozenset[str]
    loop_devices: frozenset[str]
    processes: frozenset[str]
    cgroups: frozenset[str]
    descriptors: frozenset[str]

    @classmethod
    def now(cls) -> MachineState:
        """Look at the machine, after what nobody refers to any more was closed."""
        gc.collect()
        return cls(_mounts(), _loop_devices(), _processes(), _cgroups(), _descriptors())

    def beyond(self, earlier: MachineState) -> dict[str, frozenset[str]]:
        """What exists now and did not exist earlier; empty when nothing was left.

        What is given back by others, in their own time, is looked at again until it is gone.
        """
        left = self._added_to(earlier)
        for _ in range(_LOOKS):
            if not left or left.keys() - _GIVEN_BACK_LATER:
                break
            threading.Event().wait(_LOOK_SECONDS)
            left = MachineState.now()._added_to(earlier)
        return left

    def _added_to(self, earlier: MachineState) -> dict[str, frozenset[str]]:
        added = {name: getattr(self, name) - getattr(earlier, name) for name in self.__struct_fields__}
        return {name: left for name, left in added.items() if left}


def _mounts() -> frozenset[str]:
    return frozenset(line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines())


def _loop_devices() -> frozenset[str]:
    if os.geteuid() != 0:
        # An ordinary user has none: those that there are belong to somebody else.
        return frozenset()
    return frozenset(f"{device}: {file}" for device, file in backing_files().items())


def backing_files() -> dict[str, str]:
    """The file behind each loop device that has one."""
    found = {}
    for path in Path("/sys/block").glob("loop*/loop/backing_file"):
        # The kernel gives a device back in its own time: it may be gone by now.
        with contextlib.suppress(OSError):
            found[path.parent.parent.name] = path.read_text().strip()
    return found


def _processes() -> frozenset[str]:
    found = set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if "firkin.vminitd" in command or "unshare --fork" in command or command.startswith("crun "):
            found.add(f"{entry.name}: {command}")
    return frozenset(found)


def _cgroups() -> frozenset[str]:
    return frozenset(
        path for path, _, _ in os.walk("/sys/fs/cgroup") if any(part.startswith("firkin") for part in Path(path).parts)
    )


def _descriptors() -> frozenset[str]:
    kinds: Counter[str] = Counter()
    for entry in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{entry}")
        except OSError:
            continue
        # What gRPC, asyncio and logging keep for the life of the process is theirs, not a pod's.
        if not target.startswith(("anon_inode:", "/dev/null")) and f"/proc/{os.getpid()}/fd" not in target:
            kinds[target.partition(":[")[0]] += 1
    return frozenset(f"{kind} number {number}" for kind, count in kinds.items() for number in range(count))


async def settled_state() -> MachineState:
    """The state to compare with later, once gRPC has opened what it keeps for the life of the process."""
    channel = grpc.aio.insecure_channel("unix:/nonexistent")
    await channel.close()
    return MachineState.now()
