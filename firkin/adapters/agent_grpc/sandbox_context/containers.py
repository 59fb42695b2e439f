"""Root filesystems and init processes of containers, over SandboxContext."""

from __future__ import annotations

import signal
from collections.abc import Sequence

from firkin.domain.context_additions import VOLUME_PART
from firkin.domain.errors import AgentError, Outcome, UnsupportedFeature
from firkin.domain.ids import ContainerId
from firkin.domain.layout import OverlayLayout
from firkin.domain.mounts import Mount
from firkin.domain.process import ProcessRef
from firkin.ports.agent_containers import LAYER_LIMIT, ContainerLaunch, OverlayRequest, VolumePart
from firkin.ports.agent_processes import ProcessLaunch, StartedProcess

from ..features import OWN_MOUNTS
from ..pod_settings import write_container_files
from .calls import SandboxContextPart
from .process_start import started_process


class SandboxContextContainers(SandboxContextPart):
    """Making, starting and removing containers."""

    async def prepare_overlay(self, request: OverlayRequest) -> None:
        """Make the overlay's directories and mount it; what a failure leaves, `remove_container` takes away."""
        if request.limit_bytes is not None:
            refused = UnsupportedFeature(LAYER_LIMIT, "the agent's service SandboxContext has no call for it")
            raise refused.during("prepare pod container overlay", outcome=Outcome.DID_NOT)
        layout = request.layout
        for directory in (layout.upper, layout.work, layout.merged):
            await self._calls.mkdir(directory, "mkdir pod container overlay path")
        options = (f"lowerdir={request.lower}", f"upperdir={layout.upper}", f"workdir={layout.work}")
        mount = Mount(layout.merged, "overlay", "overlay", options)
        await self._calls.mount(mount, "mount pod container overlay rootfs")

    async def start_container(self, launch: ContainerLaunch) -> StartedProcess:
        """Create the container and start its init; returns once the command was executed."""
        if launch.volume_parts and OWN_MOUNTS not in self._calls.features:
            reason = "this guest agent cannot find one without following a container's links"
            refused = UnsupportedFeature("showing a part of a volume (subPath)", reason)
            raise refused.during("start process", outcome=Outcome.DID_NOT)
        if launch.overlay is not None:
            await self.prepare_overlay(launch.overlay)
        for part in launch.volume_parts:
            await self._mount_volume_part(launch.container_id, part)
        await write_container_files(self._calls.session, self._calls.stub, launch.files)
        ref = ProcessRef(launch.container_id, launch.container_id)
        init = ProcessLaunch(ref, launch.runtime_spec, launch.stdio, launch.terminal)
        return await started_process(self._calls, init)

    async def _mount_volume_part(self, container_id: ContainerId, part: VolumePart) -> None:
        mounted = self._calls.volume_parts.setdefault(container_id, [])
        if part.path not in mounted:
            mounted.append(part.path)
        mount = Mount(part.path, VOLUME_PART, part.volume, (f"path={part.relative_path}",))
        await self._calls.mount(mount, "mount part of volume")

    async def _unmount_volume_parts(self, container_id: ContainerId) -> list[str]:
        """What could not be unmounted, in sentences."""
        problems: list[str] = []
        for path in self._calls.volume_parts.pop(container_id, []):
            problems += await self._calls.released(path, "umount part of volume")
        return problems

    async def remove_container(self, container_id: ContainerId, overlay: OverlayLayout | None) -> Sequence[str]:
        """Kill whatever runs in it and remove it with its overlay; an unknown container is removed already."""
        calls, operation = self._calls, "remove pod container"
        await calls.kill_if_there(container_id, container_id, signal.SIGKILL, operation)
        await calls.delete_process(container_id, container_id, operation)
        calls.session.streams.forget_container(container_id)
        calls.oom_kills.pop(container_id, None)
        problems = await self._unmount_volume_parts(container_id)
        if overlay is None:
            return tuple(problems)
        # A base whose overlay is still mounted must not be removed: the removal would walk through the mount.
        problems += await calls.unmounted(overlay.merged, "umount pod container overlay rootfs")
        if problems and await calls.is_mounted(overlay.merged, "umount pod container overlay rootfs"):
            return tuple(problems)
        try:
            await calls.remove_path(overlay.base, "remove pod container overlay state")
        except AgentError as error:
            problems.append(str(error))
        return tuple(problems)
