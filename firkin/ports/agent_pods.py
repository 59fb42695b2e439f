"""The agent's part in a pod as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from firkin.domain.guest_path import GuestPath
from firkin.domain.ids import PodId
from firkin.domain.layout import StoreLayout
from firkin.domain.mounts import Mount
from firkin.domain.reports import AgentInfo, StoreUsage
from firkin.domain.volumes import EmptyDirVolume


class PodPreparation(msgspec.Struct, frozen=True):
    """What a sandbox needs before its first container.

    Attributes:
        sysctls: kernel settings of the sandbox's network.
        shares_processes: whether the containers join one process namespace, that of the layout's path.
    """

    pod_id: PodId
    store_mount: Mount
    layout: StoreLayout
    volumes: tuple[EmptyDirVolume, ...] = ()
    sysctls: Mapping[str, str] = {}
    shares_processes: bool = False


class AgentPods(Protocol):
    """Preparing and ending a pod, and its store."""

    async def info(self) -> AgentInfo:
        """Who the agent is."""
        ...

    async def prepare_pod(self, preparation: PodPreparation) -> None:
        """Set the sandbox up, mount the store, and make the pod's directories and volumes.

        What an earlier pod of this id left on the store is removed first.

        Raises:
            StoreFull, StoreDamaged: the store cannot be used.
        """
        ...

    async def tear_down_pod(self, preparation: PodPreparation) -> Sequence[str]:
        """Unmount the volumes, remove the pod's directories, sync and unmount the store.

        Returns what could not be done, in sentences; empty for a clean end.
        """
        ...

    async def write_file(self, directory: GuestPath, relative_path: str, data: bytes, mode: int = 0o644) -> None:
        """Write a file below `directory`, in one step (a reader sees the old bytes or the new).

        Missing parents are made. No symlink below `directory` is followed.

        Raises:
            PathRefused: the path leads out of `directory`, or through a symlink.
            StoreFull: no space left.
        """
        ...

    async def usage(self, path: GuestPath) -> StoreUsage:
        """How full the filesystem of `path` is."""
        ...

    async def trim(self, path: GuestPath) -> int:
        """Give unused blocks of the filesystem at `path` back; returns the bytes that were trimmed.

        A filesystem that cannot be trimmed (a directory of the host, a tmpfs) trims 0 bytes.
        """
        ...
