"""Agents whose calls obey a script."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Any, cast

from msgspec.structs import replace

from firkin.domain.port_forwards import PortForward
from firkin.ports.agent import Agent
from firkin.ports.agent_connector import AgentConnector
from firkin.ports.agent_processes import ProcessStreams, StartedProcess
from firkin.ports.sandbox import Sandbox

from .calls import FaultyCalls
from .host_ports import FaultySandbox, entered
from .script import FaultScript
from .streams import FaultySink, FaultySource


class FaultyAgentConnector:
    """A connector whose agents obey a script."""

    def __init__(self, connector: AgentConnector, script: FaultScript) -> None:
        self._connector = connector
        self._script = script

    @contextlib.asynccontextmanager
    async def connected(self, sandbox: Sandbox, timeout_seconds: float) -> AsyncIterator[Agent]:
        """Connect, as the rules for `agents.connect` and `agents.leave` have it."""
        inner = sandbox.inner if isinstance(sandbox, FaultySandbox) else sandbox
        connection = self._connector.connected(inner, timeout_seconds)
        async with entered(self._script, "agents.connect", "agents.leave", connection) as agent:
            yield cast(Agent, _FaultyAgent(agent, self._script))


class _FaultyAgent(FaultyCalls):
    """An agent; so are the streams of the processes that it starts."""

    def __init__(self, agent: Agent, script: FaultScript) -> None:
        super().__init__(agent, script, "agent")
        self._agent = agent

    def forwarded(self, forward: PortForward) -> AbstractAsyncContextManager[PortForward]:
        """Forward a port, as the rules for `agent.forwarded` and `agent.leave_forwarded` have it."""
        return entered(self._script, "agent.forwarded", "agent.leave_forwarded", self._agent.forwarded(forward))

    def _answered(self, answer: Any) -> Any:
        return self._with_streams(answer) if isinstance(answer, StartedProcess) else answer

    def _with_streams(self, started: StartedProcess) -> StartedProcess:
        stdin, stdout, stderr = started.streams.stdin, started.streams.stdout, started.streams.stderr
        script = self._script
        streams = ProcessStreams(
            None if stdin is None else FaultySink(stdin, script, "stdin"),
            None if stdout is None else FaultySource(stdout, script, "stdout"),
            None if stderr is None else FaultySource(stderr, script, "stderr"),
        )
        return replace(started, streams=streams)
