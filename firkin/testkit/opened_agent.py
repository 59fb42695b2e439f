"""An agent with a prepared pod, and the requests that contract tests make of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import msgspec

from firkin.domain.container_spec import PodContainerSpec
from firkin.domain.ids import ContainerId, PodId, VolumeName
from firkin.domain.image import ImageBundle
from firkin.domain.layout import OverlayLayout, StoreLayout
from firkin.domain.lowering import container_runtime_spec, encoded
from firkin.domain.process import ProcessRef, StdioOptions
from firkin.domain.rootfs_source import RootfsSource
from firkin.domain.terminal import TerminalSize
from firkin.domain.volumes import EmptyDirVolume
from firkin.ports.agent import Agent
from firkin.ports.agent_containers import ContainerLaunch, OverlayRequest
from firkin.ports.agent_pods import PodPreparation
from firkin.ports.agent_processes import ProcessLaunch, StartedProcess
from firkin.ports.sandbox import Sandbox
from firkin.ports.streams import ByteSource

from .claims import refused_unless_claimed
from .launches import NO_STREAMS

POD = PodId("pod-1")
VOLUMES = (EmptyDirVolume.disk("data"), EmptyDirVolume.memory("fast", 2**20))


class OpenAgent:
    """An agent with a prepared pod, and the requests that tests make of it."""

    layout = StoreLayout()

    def __init__(self, sandbox: Sandbox, agent: Agent, bundle: ImageBundle, features: frozenset[str]) -> None:
        self.sandbox = sandbox
        self.features = features
        self.agent = agent
        self.bundle = bundle
        self.preparation = PodPreparation(POD, sandbox.store_mount, self.layout, VOLUMES)

    @contextlib.contextmanager
    def claiming(self, feature: str) -> Iterator[None]:
        """A body that needs a feature of the agent: refused cleanly is fine, unless the agent claims it."""
        with refused_unless_claimed(feature in self.features, feature):
            yield

    def overlay(self, container_id: str) -> OverlayLayout:
        return self.layout.overlay(POD, ContainerId(container_id))

    def volume(self, name: str) -> str:
        return self.layout.empty_dir(POD, VolumeName(name))

    def overlay_request(self, container_id: str) -> OverlayRequest:
        lower = self.layout.template_rootfs(self.bundle.chain_id)
        return OverlayRequest(ContainerId(container_id), self.overlay(container_id), lower)

    def launch(
        self,
        container_id: str,
        *command: str,
        stdio: StdioOptions = NO_STREAMS,
        user: str | None = None,
        with_overlay: bool = True,
        terminal: TerminalSize | None = None,
    ) -> ContainerLaunch:
        overlay = self.overlay_request(container_id) if with_overlay else None
        spec = self._spec(container_id, command, user, terminal)
        return ContainerLaunch(ContainerId(container_id), spec, stdio, overlay, terminal)

    def exec(
        self,
        container_id: str,
        process_id: str,
        *command: str,
        stdio: StdioOptions = NO_STREAMS,
        terminal: TerminalSize | None = None,
    ) -> ProcessLaunch:
        spec = self._spec(container_id, command, None, terminal)
        return ProcessLaunch(ProcessRef(container_id, process_id), spec, stdio, terminal)

    def _spec(
        self, container_id: str, command: tuple[str, ...], user: str | None, terminal: TerminalSize | None
    ) -> bytes:
        spec = PodContainerSpec(ContainerId(container_id), RootfsSource.oci_bundle(self.bundle)).command(*command)
        if user is not None:
            spec = spec.user(user)
        if terminal is not None:
            spec = spec.tty(size=(terminal.columns, terminal.rows))
        merged = self.overlay(container_id).merged
        return encoded(container_runtime_spec(spec, self.bundle.config, merged, POD))

    async def started(
        self,
        container_id: str,
        *command: str,
        stdio: StdioOptions = NO_STREAMS,
        user: str | None = None,
        terminal: TerminalSize | None = None,
    ) -> StartedProcess:
        """Start a container from the template, which is made first when absent."""
        await self.agent.ensure_template(self.bundle, self.layout)
        launch = self.launch(container_id, *command, stdio=stdio, user=user, terminal=terminal)
        return await self.agent.start_container(launch)

    async def removed(self, container_id: str) -> None:
        """Remove a container; it has to be clean."""
        problems = await self.agent.remove_container(ContainerId(container_id), self.overlay(container_id))
        assert list(problems) == []

    def with_layer(self, **changes: object) -> ImageBundle:
        """The image, with something changed in its only layer."""
        (layer,) = self.bundle.layers
        return msgspec.structs.replace(self.bundle, layers=(msgspec.structs.replace(layer, **changes),))


def init_of(container_id: str) -> ProcessRef:
    """A container's init."""
    return ProcessRef(container_id, container_id)


async def everything(source: ByteSource | None) -> bytes:
    """Read to the end."""
    assert source is not None
    received = bytearray()
    while piece := await source.read():
        received += piece
    return bytes(received)


def same_bytes(received: bytes | bytearray, sent: bytes) -> bool:
    """Compare what is large: of `assert received == sent` that fails, pytest would work out all the differences."""
    return received == sent
