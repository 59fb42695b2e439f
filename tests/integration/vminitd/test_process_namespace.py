"""Making the process namespace that the containers of a pod share."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from firkin.domain.context_additions import PROCESS_NAMESPACE
from firkin.domain.layout import POD_PROCESS_NAMESPACE
from firkin.wire import agent_pb2 as wire
from firkin.wire import sandbox_context_pb2 as context

from .agent_process import CALL_SECONDS, RunningAgent, running_agent

pytestmark = pytest.mark.real_time


def children(pid: int) -> list[int]:
    lists = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for one in lists for child in one.read_text().split()]


async def made(agent: RunningAgent) -> None:
    request = context.MountRequest(type=PROCESS_NAMESPACE, destination=POD_PROCESS_NAMESPACE)
    await agent.context.Mount(request, timeout=CALL_SECONDS)


async def until_there_are(agent: RunningAgent, counts: set[int]) -> None:
    """Wait until the agent has so many children."""
    (init,) = children(agent.process.pid)
    async with asyncio.timeout(CALL_SECONDS):
        while len(children(init)) not in counts:
            await agent.v1.GetInfo(wire.GetInfoRequest())


async def test_a_process_namespace_whose_making_is_called_off_ends() -> None:
    async with running_agent() as agent:
        for milliseconds in range(0, 200, 8):
            making = asyncio.ensure_future(made(agent))
            await asyncio.wait({making}, timeout=milliseconds / 1000)
            making.cancel()
            await asyncio.wait({making})
            # None, or the one that was made before it was called off.
            await until_there_are(agent, {0, 1})
            if not making.cancelled():
                break
        await made(agent)
        await until_there_are(agent, {1})


async def test_a_process_namespace_that_is_made_several_times_at_once_is_one() -> None:
    async with running_agent() as agent:
        await asyncio.gather(*(made(agent) for _ in range(4)))
        await until_there_are(agent, {1})
