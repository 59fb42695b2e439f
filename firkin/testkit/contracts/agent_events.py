"""What an agent tells while things happen."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator

import pytest

from firkin.domain.errors import SandboxDied
from firkin.domain.events import ProcessCreated, ProcessExited, ProcessStarted, SandboxEvent, Subscribed
from firkin.domain.process import ExitStatus

from ..agent_place import AgentPlace
from ..opened_agent import OpenAgent, init_of


async def test_starts_and_exits_are_told_in_order_or_the_agent_says_that_it_cannot(agent_place: AgentPlace) -> None:
    async with agent_place.opened() as it:
        with it.claiming("events"):
            await _check_events(it, it.agent.events())


async def _check_events(it: OpenAgent, events: AsyncIterator[SandboxEvent]) -> None:
    assert isinstance(await anext(events), Subscribed)
    started = await it.started("c", "/bin/sleep", "3600")
    execed = await it.agent.start_process(it.exec("c", "e", "/bin/false"))
    told: list[SandboxEvent] = []
    async with asyncio.timeout(60):
        while len(told) < 5:
            told.append(await anext(events))
        await it.agent.kill_process(init_of("c"), signal.SIGKILL)
        told.append(await anext(events))
    first, second, third, fourth, fifth, sixth = told
    assert isinstance(first, ProcessCreated)
    assert (first.container_id, first.process_id) == ("c", "c")
    assert isinstance(second, ProcessStarted)
    assert (second.process_id, second.pid) == ("c", started.pid)
    assert isinstance(third, ProcessCreated)
    assert isinstance(fourth, ProcessStarted)
    assert (fourth.process_id, fourth.pid) == ("e", execed.pid)
    assert isinstance(fifth, ProcessExited)
    assert (fifth.process_id, fifth.status) == ("e", ExitStatus(1))
    assert isinstance(sixth, ProcessExited)
    assert (sixth.process_id, sixth.status) == ("c", ExitStatus.from_signal(signal.SIGKILL))
    assert sixth.lifetime_seconds >= 0
    assert [one.at_unix_seconds for one in told] == sorted(one.at_unix_seconds for one in told)


async def test_the_end_of_the_sandbox_ends_the_stream(agent_place: AgentPlace) -> None:
    async with agent_place.opened() as it:
        with it.claiming("events"):
            events = it.agent.events()
            await anext(events)
            async with asyncio.TaskGroup() as tasks, asyncio.timeout(60):
                tasks.create_task(it.sandbox.stop(1))
                with pytest.raises(SandboxDied):
                    await _drained(events)


async def _drained(events: AsyncIterator[SandboxEvent]) -> None:
    async for _ in events:
        pass
