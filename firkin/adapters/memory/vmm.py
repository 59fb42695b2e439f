"""Booting sandboxes in memory."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from firkin.domain.host_paths import HOST_PATHS
from firkin.domain.reports import Capabilities, Capability, Promise
from firkin.ports.vmm import SandboxRequest

from .sandbox import MemorySandbox
from .world import MemoryWorld


class MemoryVmm:
    """Boots sandboxes in memory."""

    def __init__(self, world: MemoryWorld | None = None) -> None:
        self.world = world or MemoryWorld()

    def capabilities(self) -> Capabilities:
        """Nothing is enforced: nothing runs."""
        reason = "containers in memory are coroutines"
        names = ("memory limit", "cpu limit", "pids limit", "kernel isolation", "network isolation")
        promises = [Capability(name, Promise.UNAVAILABLE, reason) for name in names]
        return Capabilities("memory", (*promises, Capability(HOST_PATHS, Promise.BEST_EFFORT, "nobody looks at them")))

    @contextlib.asynccontextmanager
    async def booted(self, request: SandboxRequest) -> AsyncIterator[MemorySandbox]:
        """Boot a sandbox; leaving ends it."""
        await self.world.faults.reach("vmm.boot")
        sandbox = MemorySandbox(request, self.world.faults)
        self.world.sandboxes[sandbox.id] = sandbox
        try:
            await self.world.faults.reach("vmm.boot", after=True)
            yield sandbox
        finally:
            self.world.sandboxes.pop(sandbox.id, None)
            await sandbox.die("left")
