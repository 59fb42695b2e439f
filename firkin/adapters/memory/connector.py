"""Dialling agents in memory."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping

from firkin.domain.errors import BootFailed
from firkin.ports.sandbox import Sandbox

from .agent import MemoryAgent
from .programs import PROGRAMS, Program
from .sandbox import MemorySandbox
from .world import MemoryWorld


class MemoryAgentConnector:
    """Connects to sandboxes that a MemoryVmm booted."""

    def __init__(self, world: MemoryWorld | None = None, programs: Mapping[str, Program] | None = None) -> None:
        """`programs` are commands beside those of `firkin.adapters.memory.programs.PROGRAMS`."""
        self.world = world or MemoryWorld()
        self._programs = {**PROGRAMS, **(programs or {})}

    @contextlib.asynccontextmanager
    async def connected(self, sandbox: Sandbox, timeout_seconds: float) -> AsyncIterator[MemoryAgent]:
        """Connect to the sandbox's agent.

        Raises:
            BootFailed: the sandbox has ended.
            TypeError: the sandbox is not one of memory.
        """
        if not isinstance(sandbox, MemorySandbox):
            raise TypeError(f"an agent in memory needs a MemorySandbox, not {type(sandbox).__name__}")
        await self.world.faults.reach("agents.connect")
        if sandbox.ended is not None:
            end = sandbox.ended
            raise BootFailed("connect", end.reason, end.console_tail, end.phase, end.exit_status)
        self.world.connections += 1
        try:
            await self.world.faults.reach("agents.connect", after=True)
            yield MemoryAgent(sandbox, self.world, self._programs)
        finally:
            self.world.connections -= 1
