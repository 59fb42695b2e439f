"""Getting hold of a sandbox's agent."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager

from firkin.ports.agent import Agent
from firkin.ports.sandbox import Sandbox


class GrpcAgentConnector:
    """Dials the agent on the sandbox's unix socket, and keeps one channel for the sandbox's life."""

    def __init__(
        self,
        deadline_seconds: float = 30.0,
        stall_seconds: float = 120.0,
        prefer_agent_v1: bool = True,
        layer_limits: Mapping[str, int] = {},
    ) -> None:
        """Set the limits of every call.

        Args:
            deadline_seconds: what one call may take, waits for processes excepted.
            stall_seconds: how long making a template may make no progress.
            prefer_agent_v1: False to speak SandboxContext also with an agent that offers firkin.agent.v1.
            layer_limits: what layers may amount to, of `LayerLimits`, where the agent's own limits are not wanted.
        """
        self._deadline_seconds = deadline_seconds
        self._stall_seconds = stall_seconds
        self._prefer_agent_v1 = prefer_agent_v1
        self._layer_limits = layer_limits

    def connected(self, sandbox: Sandbox, timeout_seconds: float) -> AbstractAsyncContextManager[Agent]:
        """Wait for the agent's first answer and keep one connection for the sandbox's life.

        Raises:
            BootFailed: the sandbox ended first, or the agent did not answer within `timeout_seconds`.
        """
        return self._connected(sandbox, timeout_seconds)

    @contextlib.asynccontextmanager
    async def _connected(self, sandbox: Sandbox, timeout_seconds: float) -> AsyncIterator[Agent]:
        # gRPC costs a tenth of a second to load: here it loads while the sandbox boots, and only where one does.
        from .dialling import dialled_agent
        from .session import AgentSession

        async with AgentSession(sandbox, self._deadline_seconds, self._stall_seconds, self._layer_limits) as session:
            yield await dialled_agent(session, timeout_seconds, self._prefer_agent_v1)
