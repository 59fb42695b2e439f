"""An agent and the sandbox, store and image that it is tried with."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from firkin.domain.image import ImageBundle
from firkin.domain.vm_config import VmConfig
from firkin.ports.agent_connector import AgentConnector
from firkin.ports.store import StoreMedium
from firkin.ports.vmm import SandboxRequest, Vmm

from .busybox_image import busybox_bundle
from .opened_agent import POD, OpenAgent

_CONNECT_SECONDS = 30


class AgentPlace:
    """Opens sandboxes one after another on one store, with the agent under test connected.

    Attributes:
        connector: what is tested.
        store: the directory that the sandboxes have as their pod store.
    """

    def __init__(
        self,
        connector: AgentConnector,
        vmm: Vmm,
        store: Path,
        image: Callable[[], Awaitable[ImageBundle]],
    ) -> None:
        self.connector = connector
        self.store = store
        self._vmm = vmm
        self._image = image

    @classmethod
    def in_namespaces(cls, connector: AgentConnector, directory: Path) -> AgentPlace:
        """A place in a namespace sandbox, with an image of busybox; all its files lie below `directory`."""
        from firkin.adapters.vmm_namespace import NamespaceVmm

        async def image() -> ImageBundle:
            return busybox_bundle(directory)

        return cls(connector, NamespaceVmm(directory / "run"), directory / "store", image)

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[OpenAgent]:
        """A sandbox whose agent is connected and whose pod is prepared."""
        self.store.mkdir(exist_ok=True)
        medium = StoreMedium(self.store, "", "the-store")
        async with (
            self._vmm.booted(SandboxRequest(POD, VmConfig(), medium, "pod-1")) as sandbox,
            self.connector.connected(sandbox, _CONNECT_SECONDS) as agent,
        ):
            opened = OpenAgent(sandbox, agent, await self._image(), (await agent.info()).features)
            await agent.prepare_pod(opened.preparation)
            yield opened
