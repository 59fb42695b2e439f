"""A sandbox in memory."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from pathlib import Path

from firkin.application.task_scope import TaskScope
from firkin.domain.layout import POD_STORE_MOUNT
from firkin.domain.mounts import Mount
from firkin.domain.reports import SandboxExit
from firkin.ports.vmm import SandboxRequest

from .faults import Faults

_NUMBERS = itertools.count(1)


class MemorySandbox:
    """A sandbox that is a few tasks of this process."""

    def __init__(self, request: SandboxRequest, faults: Faults) -> None:
        self.request = request
        self._faults = faults
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

    def when_ended(self, callback: Callable[[], None]) -> None:
        """Call `callback` once it has ended."""
        self._ended.add_done_callback(lambda _: callback())

    async def expose_guest_port(self, port: int) -> None:
        """Nothing is there to be exposed; it is a place for faults."""
        await self._faults.reach("sandbox.expose_guest_port")
        await self._faults.reach("sandbox.expose_guest_port", after=True)

    async def wait_ended(self) -> SandboxExit:
        """Wait for the end."""
        return await asyncio.shield(self._ended)

    async def stop(self, grace_seconds: float) -> SandboxExit:
        """End it at once; it needs no grace."""
        await self._faults.reach("sandbox.stop")
        await self.die("stopped")
        return self._ended.result()

    async def die(self, reason: str) -> None:
        """End it as if by itself, with everything that runs in it; twice is fine."""
        if not self._ended.done():
            self._ended.set_result(SandboxExit(reason))
        await self.tasks.aclose()
