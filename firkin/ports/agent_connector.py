"""How the host gets hold of a sandbox's agent."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Protocol, runtime_checkable

from .agent import Agent
from .sandbox import Sandbox


@runtime_checkable
class AgentConnector(Protocol):
    """Dials guest agents."""

    def connected(self, sandbox: Sandbox, timeout_seconds: float) -> AbstractAsyncContextManager[Agent]:
        """Wait for the agent's first answer and keep one connection for the sandbox's life.

        When the sandbox ends, every pending and later call of the agent raises SandboxDied.

        Raises:
            BootFailed: the sandbox ended first, or the agent did not answer within `timeout_seconds`.
        """
        ...
