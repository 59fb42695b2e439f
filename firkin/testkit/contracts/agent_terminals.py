"""Processes with a terminal."""

from __future__ import annotations

import pytest

from firkin.domain.errors import NoTerminal
from firkin.domain.process import ExitStatus
from firkin.domain.terminal import TerminalSize

from ..agent_place import AgentPlace
from ..launches import OUTPUT_PIPED
from ..opened_agent import everything, init_of

SIZE = TerminalSize(100, 30)


async def test_a_terminal_has_its_size_from_the_start(agent_place: AgentPlace) -> None:
    async with agent_place.opened() as it:
        started = await it.started("c", "stty", "size", stdio=OUTPUT_PIPED, terminal=SIZE)
        assert await everything(started.streams.stdout) == b"30 100\r\n"
        assert await it.agent.wait_process(init_of("c")) == ExitStatus(0)


async def test_a_process_without_a_terminal_cannot_be_resized_and_one_that_has_ended_ignores_it(
    agent_place: AgentPlace,
) -> None:
    async with agent_place.opened() as it:
        await it.started("plain", "/bin/sleep", "3600")
        with pytest.raises(NoTerminal):
            await it.agent.resize_process(init_of("plain"), 80, 24)
        await it.started("over", "/bin/true", terminal=SIZE)
        await it.agent.wait_process(init_of("over"))
        await it.agent.resize_process(init_of("over"), 80, 24)
