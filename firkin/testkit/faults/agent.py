"""Agents whose calls obey a script."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

from msgspec.structs import replace

from firkin.ports.agent import Agent
from firkin.ports.agent_connector import AgentConnector
from firkin.ports.agent_processes import ProcessStreams, StartedProcess
from firkin.ports.sandbox import Sandbox

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


class _FaultyAgent:
    """Whatever an agent can do, and however its port grows: each of its methods is a call of the script."""

    def __init__(self, agent: Agent, script: FaultScript) -> None:
        self._agent = agent
        self._script = script

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._agent, name)
        if inspect.iscoroutinefunction(found):
            return self._call(name, found)
        if inspect.isasyncgenfunction(found):
            return self._stream(name, found)
        return found

    def _call(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        async def call(*arguments: Any, **named: Any) -> Any:
            size = sum(len(argument) for argument in (*arguments, *named.values()) if isinstance(argument, bytes))
            answer = await self._script.perform(f"agent.{name}", lambda: method(*arguments, **named), size, again=True)
            return self._with_streams(answer) if isinstance(answer, StartedProcess) else answer

        return call

    def _stream(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        async def stream(*arguments: Any, **named: Any) -> AsyncIterator[Any]:
            items = method(*arguments, **named)
            async with contextlib.aclosing(items):
                while True:
                    try:
                        item = await self._script.perform(f"agent.{name}", items.__anext__)
                    except StopAsyncIteration:
                        return
                    yield item

        return stream

    def _with_streams(self, started: StartedProcess) -> StartedProcess:
        stdin, stdout, stderr = started.streams.stdin, started.streams.stdout, started.streams.stderr
        script = self._script
        streams = ProcessStreams(
            None if stdin is None else FaultySink(stdin, script, "stdin"),
            None if stdout is None else FaultySource(stdout, script, "stdout"),
            None if stderr is None else FaultySource(stderr, script, "stderr"),
        )
        return replace(started, streams=streams)
