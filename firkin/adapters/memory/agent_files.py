"""Copies in memory."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from firkin.domain.copying import CopyReport
from firkin.domain.errors import ContainerNotFound
from firkin.domain.ids import ContainerId, PodId
from firkin.ports.agent_files import CopyIn, CopyOut

from .files import MemoryFiles


class MemoryAgentFiles:
    """Keeps the promises of ports.agent_files for containers whose overlays exist."""

    def __init__(self, pod_id: PodId) -> None:
        self._pod_id = pod_id
        self._container_files: dict[ContainerId, MemoryFiles] = {}

    def _call(self, operation: str) -> AbstractAsyncContextManager[None]:
        """One call: where faults are injected, and the sandbox's death is noticed."""
        raise TypeError("the agent that this is a part of has no calls")

    async def copy_in(self, copy: CopyIn) -> CopyReport:
        """Copy a file or a directory into a container."""
        async with self._call("copy_in"):
            return self._of(copy.container_id).copy_in(copy)

    async def copy_out(self, copy: CopyOut) -> CopyReport:
        """Copy a file or a directory out of a container."""
        async with self._call("copy_out"):
            return self._of(copy.container_id).copy_out(copy)

    def _of(self, container_id: ContainerId) -> MemoryFiles:
        try:
            return self._container_files[container_id]
        except KeyError:
            raise ContainerNotFound(self._pod_id, container_id) from None
