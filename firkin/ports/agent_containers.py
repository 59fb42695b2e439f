"""The agent's part in containers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from firkin.domain.guest_path import GuestPath
from firkin.domain.ids import ContainerId
from firkin.domain.layout import OverlayLayout
from firkin.domain.process import StdioOptions
from firkin.domain.surroundings import ContainerFile
from firkin.domain.terminal import TerminalSize

from .agent_processes import StartedProcess

LAYER_LIMIT = "the size limit of a container's writable layer"
"""What an agent that has no way to it refuses."""


class OverlayRequest(msgspec.Struct, frozen=True):
    """A container's overlay: `layout.merged` shows `layout.upper` over the template's rootfs `lower`.

    Attributes:
        limit_bytes: what the container may write at most, or None.
        quota_suffices: whether the container can neither exceed a project quota nor leave its project.
    """

    container_id: ContainerId
    layout: OverlayLayout
    lower: GuestPath
    limit_bytes: int | None = None
    quota_suffices: bool = False


class VolumePart(msgspec.Struct, frozen=True):
    """A part of a volume that a container is shown.

    Attributes:
        volume: the volume's directory.
        relative_path: the part: a file or a directory of the volume; a directory is made when it is missing.
        path: where the part is mounted, for the runtime specification to name.
    """

    volume: GuestPath
    relative_path: str
    path: GuestPath


class ContainerLaunch(msgspec.Struct, frozen=True):
    """A container's init, ready to run.

    Attributes:
        container_id: which container.
        runtime_spec: OCI runtime-spec configuration, as JSON.
        stdio: which streams the host wants. With a terminal, stdin and stdout are its two directions.
        overlay: prepared in the same call when given; None when it was prepared before, or is not needed.
        files: written before the start, each in one step; what an earlier start wrote is replaced.
        terminal: the first size of the terminal that `runtime_spec` asks for; None when it asks for none.
        volume_parts: found and mounted anew before each start, as `remove_container` unmounts them.
    """

    container_id: ContainerId
    runtime_spec: bytes
    stdio: StdioOptions
    overlay: OverlayRequest | None = None
    terminal: TerminalSize | None = None
    files: tuple[ContainerFile, ...] = ()
    volume_parts: tuple[VolumePart, ...] = ()


class AgentContainers(Protocol):
    """Root filesystems and init processes of containers."""

    async def prepare_overlay(self, request: OverlayRequest) -> None:
        """Make the overlay's directories and mount it; undone by `remove_container`.

        Raises:
            StoreFull: no space left.
            UnsupportedFeature, MissingTool: what the container may write cannot be limited.
        """
        ...

    async def start_container(self, launch: ContainerLaunch) -> StartedProcess:
        """Create the container and start its init; returns once the command was executed.

        A start that fails leaves no process and no runtime state; an overlay that was prepared stays until
        `remove_container`.

        Raises:
            CommandNotFound, CommandNotExecutable, UserUnknown, RuntimeFailed, MissingTool: it cannot start.
            PathRefused: the part of a volume would leave the volume, or is neither a file nor a directory.
            UnsupportedFeature: the agent cannot show parts of volumes.
            StoreFull: no space left.
        """
        ...

    async def remove_container(self, container_id: ContainerId, overlay: OverlayLayout | None) -> Sequence[str]:
        """Kill whatever runs in it and remove it with its overlay; an unknown container is removed already.

        Returns what could not be done, in sentences; empty for a clean removal.
        """
        ...
