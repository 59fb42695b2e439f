"""Agents of every kind, each in a sandbox of its own: in memory, and vminitd over both services."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from firkin.adapters.agent_grpc import GrpcAgentConnector
from firkin.adapters.images_oci_layout import OciLayoutImageSource
from firkin.adapters.memory import MemoryAgentConnector, MemoryImageSource, MemoryVmm, MemoryWorld, Program
from firkin.adapters.vmm_namespace import NamespaceVmm
from firkin.domain.image import ImageBundle, Platform
from firkin.testkit.agent_place import AgentPlace
from firkin.testkit.launches import ALL_PIPED, NO_STREAMS, OUTPUT_PIPED, TERMINAL_PIPED
from firkin.testkit.opened_agent import POD, OpenAgent, everything, init_of
from tests.images.busybox import busybox_layout

__all__ = [
    "AGENT_V1", "ALL_PIPED", "IN_MEMORY", "MEMORY", "NO_STREAMS", "OUTPUT_PIPED", "POD", "SANDBOX_CONTEXT",
    "TERMINAL_PIPED", "OpenAgent", "Road", "busybox_bundle", "everything", "init_of",
]  # fmt: skip

MEMORY = "memory"
AGENT_V1 = "agent-v1"
SANDBOX_CONTEXT = "sandbox-context"

IN_MEMORY = pytest.param(MEMORY, marks=pytest.mark.virtual_time)


class Road(AgentPlace):
    """A way to an agent, by name."""

    def __init__(
        self,
        name: str,
        directory: Path,
        programs: Mapping[str, Program] | None = None,
        deadline_seconds: float = 30.0,
        layer_limits: Mapping[str, int] = {},
    ) -> None:
        """`programs` are what containers in memory can run beside the usual."""
        self.name = name
        world = MemoryWorld()
        if name == MEMORY:
            connector = MemoryAgentConnector(world, programs)
            super().__init__(connector, MemoryVmm(world), directory / "store", _memory_image)
        else:
            dialled = GrpcAgentConnector(deadline_seconds, prefer_agent_v1=name == AGENT_V1, layer_limits=layer_limits)
            super().__init__(dialled, NamespaceVmm(directory / "run"), directory / "store", busybox_bundle)


async def _memory_image() -> ImageBundle:
    return MemoryImageSource().add("busybox")


async def busybox_bundle() -> ImageBundle:
    """An image of busybox, from a layout."""
    return await OciLayoutImageSource().resolve(f"oci:{busybox_layout()}:latest", Platform.current())
