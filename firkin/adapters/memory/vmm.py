"""Sandboxes in memory."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from pathlib import Path

from firkin.application.task_scope import TaskScope
from firkin.domain.layout import POD_STORE_MOUNT
from firkin.domain.mounts import Mount
from firkin.domain.reports import Capabilities, Capability, Promise, SandboxExit
from firkin.ports.vmm import SandboxRequest

from .world import MemoryWorld

_NUMBERS = itertools.count(1)


class MemorySandbox:
    """A sandbox that is a few tasks of this process."""

    def __init__(self, request: SandboxRequest, world: MemoryWorld) -> None:
        self.request = request
        self.world = world
        self.tasks = TaskScope()
        self._id = f"memory-{request.pod_id}-{next(_NUMBERS)}"
        self._ended: asyncio.Future[SandboxExit] = asyncio.get_running_loop().create_future()

    @property
    def id(self) -> str:
        """Unique while the sandbox lives."""
        return self._id

    @property
    def socket_directory(self) -> Path:
        """Nothing is there: an agent in memory needs no sockets."""
        return Path("/nonexistent") / self._id

    @property
    def store_mount(self) -> Mount:
        """The pod store, under its identity."""
        return Mount.bind(self.request.store.identity, POD_STORE_MOUNT)

    @property
    def ended(self) -> SandboxExit | None:
        """How it ended, or None while it lives."""
        return self._ended.result() if self._ended.done() else None

    async def wait_ended(self) -> SandboxExit:
        """Wait for the end."""
        return await asyncio.shield(self._ended)

    async def stop(self, grace_seconds: float) -> SandboxExit:
        """End it at once; it needs no grace."""
        await self.world.faults.reach("sandbox.stop")
        await self.die("stopped")
        return self._ended.result()

    async def die(self, reason: str) -> None:
        """End it as if by itself, with everything that runs in it; twice is fine."""
        if not self._ended.done():
            self._ended.set_result(SandboxExit(reason))
        await self.tasks.aclose()


class MemoryVmm:
    """Boots sandboxes in memory."""

    def __init__(self, world: MemoryWorld | None = None) -> None:
        self.world = world or MemoryWorld()

    def capabilities(self) -> Capabilities:
        """Nothing is enforced: nothing runs."""
        reason = "containers in memory are coroutines"
        names = ("memory limit", "cpu limit", "pids limit", "kernel isolation", "network isolation")
        return Capabilities("memory", tuple(Capability(name, Promise.UNAVAILABLE, reason) for name in names))

    @contextlib.asynccontextmanager
    async def booted(self, request: SandboxRequest) -> AsyncIterator[MemorySandbox]:
        """Boot a sandbox; leaving ends it."""
        await self.world.faults.reach("vmm.boot")
        sandbox = MemorySandbox(request, self.world)
        self.world.sandboxes[sandbox.id] = sandbox
        try:
            await self.world.faults.reach("vmm.boot", after=True)
            yield sandbox
        finally:
            self.world.sandboxes.pop(sandbox.id, None)
            await sandbox.die("left")
