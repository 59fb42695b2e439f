"""A pod as a whole, over SandboxContext."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Sequence

from firkin.domain.context_additions import EMPTY_DIR, NO_SYMLINKS, PROCESS_NAMESPACE
from firkin.domain.errors import AgentError, FirkinError, Outcome, UnsupportedFeature
from firkin.domain.guest_path import GuestPath
from firkin.domain.layout import POD_PROCESS_NAMESPACE, StoreLayout
from firkin.domain.mounts import Mount
from firkin.domain.reports import AgentInfo, StoreUsage
from firkin.domain.volumes import EmptyDirMedium, EmptyDirVolume
from firkin.ports.agent_network import PORT_CHECKS, PORT_FORWARDS
from firkin.ports.agent_pods import PodPreparation
from firkin.wire import sandbox_context_pb2 as wire

from ..features import (
    CONNECTED_PROXIES,
    DISK_SIZE_LIMITS,
    OWN_MOUNTS,
    OWN_ROOTS,
    SHARED_PROCESSES,
    VOLUME_GROUPS,
    VOLUME_PARTS,
)
from ..filesystem_usage import filesystem_usage
from ..messages import store_mount
from ..pod_settings import set_sysctls
from ..refusals import refuse_disk_limits, refuse_groups
from ..stall_deadline import StallDeadline
from .calls import SandboxContextPart

_SHARED_DIRECTORY_MODE = 0o777
_CANNOT_TRIM = frozenset({errno.EOPNOTSUPP, errno.ENOTTY, errno.EINVAL})

_TMP = Mount.tmpfs("/tmp", "nosuid", "nodev", "mode=1777")
_DEVPTS = Mount("/dev/pts", "devpts", "devpts", ("nosuid", "noexec", "gid=5", "mode=620", "ptmxmode=666"))


class SandboxContextPods(SandboxContextPart):
    """Preparing and ending a pod, and its store."""

    async def info(self) -> AgentInfo:
        """An agent of this road says nothing of itself but what this road makes use of."""
        known = {
            CONNECTED_PROXIES: {PORT_CHECKS},
            PORT_FORWARDS: {PORT_FORWARDS},
            OWN_MOUNTS: {VOLUME_PARTS, SHARED_PROCESSES, DISK_SIZE_LIMITS, VOLUME_GROUPS},
        }
        offered = [known[feature] for feature in self._calls.features & known.keys()]
        return AgentInfo("", frozenset[str]().union(*offered))

    async def prepare_pod(self, preparation: PodPreparation) -> None:
        """Set the sandbox up, mount the store, and make the pod's directories and volumes."""
        if OWN_MOUNTS not in self._calls.features:
            refuse_disk_limits(preparation.volumes, "this guest agent cannot make filesystems")
            if preparation.shares_processes:
                raise UnsupportedFeature("a shared process namespace", "this guest agent has no call that makes one")
            refuse_groups(preparation.volumes, "this guest agent cannot change whose a directory is")
        await self._set_up_sandbox()
        await set_sysctls(self._calls.session, self._calls.stub, preparation.sysctls)
        calls, layout = self._calls, preparation.layout
        await calls.mkdir(layout.mount, "mkdir pod store")
        await calls.mount(store_mount(preparation), "mount pod store")
        pod = layout.pod(preparation.pod_id)
        for volume in preparation.volumes:
            # A memory emptyDir of an earlier pod that was not unmounted must not be emptied through its mount.
            await calls.unmounted(layout.empty_dir(preparation.pod_id, volume.name), "remove existing pod directory")
        # A filesystem of its own is one pod's at a time; a directory may be several sandboxes'.
        earlier = layout.pods if preparation.store_mount.type == "ext4" else pod
        await calls.remove_path(earlier, "remove existing pod directory")
        await calls.mkdir(layout.templates, "mkdir pod directory")
        await calls.mkdir(pod.below("containers"), "mkdir pod directory")
        await calls.mkdir(pod.below("emptydir"), "mkdir pod directory")
        for volume in preparation.volumes:
            await self._make_volume(layout, layout.empty_dir(preparation.pod_id, volume.name), volume)
        if preparation.shares_processes:
            namespace = Mount(POD_PROCESS_NAMESPACE, PROCESS_NAMESPACE)
            await calls.mount(namespace, "make process namespace")

    async def _set_up_sandbox(self) -> None:
        """What a fresh VM lacks. A sandbox whose /dev/pts is mounted shows a system that was set up before."""
        calls = self._calls
        if not await calls.is_mounted("/dev/pts", "mkdir standard guest path"):
            await calls.mkdir("/tmp", "mkdir standard guest path", mode=0o1777)
            await calls.mkdir("/dev/pts", "mkdir standard guest path")
            await calls.mount(_TMP, "mount standard guest filesystem")
            await calls.mount(_DEVPTS, "mount standard guest filesystem")
        request = wire.IpLinkSetRequest(interface="lo", up=True)
        await calls.session.answer(calls.stub.IpLinkSet, request, "configure loopback")

    async def _make_volume(self, layout: StoreLayout, path: GuestPath, volume: EmptyDirVolume) -> None:
        is_limited = volume.medium is EmptyDirMedium.DISK and volume.size_limit is not None
        if is_limited or volume.group_id is not None:
            await self._calls.mount(Mount(path, EMPTY_DIR, layout.mount, _options(volume)), "make pod emptyDir")
            return
        await self._calls.mkdir(path, "mkdir pod emptyDir", mode=_SHARED_DIRECTORY_MODE)
        if volume.medium is EmptyDirMedium.MEMORY:
            size = () if volume.size_limit is None else (f"size={int(volume.size_limit)}",)
            tmpfs = Mount.tmpfs(path, "nosuid", "nodev", "mode=0777", *size)
            await self._calls.mount(tmpfs, "mount pod memory emptyDir")

    async def tear_down_pod(self, preparation: PodPreparation) -> Sequence[str]:
        """Unmount the volumes, remove the pod's directories, sync and unmount the store."""
        calls, layout = self._calls, preparation.layout
        problems: list[str] = []
        if not await calls.is_mounted(layout.mount, "umount pod store"):
            return ()
        for volume in preparation.volumes:
            problems += await calls.unmounted(layout.empty_dir(preparation.pod_id, volume.name), "umount pod emptyDir")
        try:
            await calls.remove_path(layout.pod(preparation.pod_id), "remove pod directory")
            await calls.session.answer(calls.stub.Sync, wire.SyncRequest(), "sync pod store")
        except AgentError as error:
            problems.append(str(error))
        problems += await calls.unmounted(layout.mount, "umount pod store")
        return tuple(problems)

    async def write_file(self, directory: GuestPath, relative_path: str, data: bytes, mode: int = 0o644) -> None:
        """Write a file below `directory`.

        With agents that are not firkin's a reader may see a part of the bytes; and they resolve links within
        `directory` instead of refusing them, which keeps the file below it all the same.
        """
        operation = "write pod emptyDir file"
        refuses_links = OWN_ROOTS in self._calls.features
        if not refuses_links and not await self._calls.confines_paths(operation):
            refused = UnsupportedFeature("writing into an emptyDir", "this guest agent cannot confine a path to it")
            raise refused.during(operation, outcome=Outcome.DID_NOT)

        async def send(connection: socket.socket, stall: StallDeadline) -> FirkinError | None:
            with contextlib.suppress(OSError):  # an agent that closes the stream says why in its answer
                await asyncio.get_running_loop().sock_sendall(connection, data)
                connection.shutdown(socket.SHUT_WR)
            stall.progressed()
            return None

        request = wire.CopyRequest(
            direction=wire.CopyRequest.COPY_IN,
            root=f"{NO_SYMLINKS}{directory}" if refuses_links else directory,
            path=f"/{relative_path}",
            mode=mode,
            create_parents=True,
        )
        await self._calls.copy_in(request, send, operation)

    async def usage(self, path: GuestPath) -> StoreUsage:
        """How full the filesystem of `path` is."""
        return await filesystem_usage(self._calls.session, self._calls.stub, path)

    async def trim(self, path: GuestPath) -> int:
        """Give unused blocks of the filesystem at `path` back."""
        calls = self._calls
        try:
            answer = await calls.session.answer(calls.stub.Fstrim, wire.FstrimRequest(path=path), "trim pod store")
        except AgentError as error:
            if error.errno in _CANNOT_TRIM:
                return 0
            raise
        return answer.trimmed_bytes


def _options(volume: EmptyDirVolume) -> tuple[str, ...]:
    limit = () if volume.size_limit is None else (f"size={volume.size_limit:d}",)
    group = () if volume.group_id is None else (f"group={volume.group_id}",)
    return (f"medium={volume.medium.value}", *limit, *group)
