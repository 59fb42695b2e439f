"""What every agent promises of containers (ports/agent_containers.py)."""

from __future__ import annotations

import asyncio

import pytest

from firkin.domain.errors import (
    CommandNotFound,
)
from firkin.domain.ids import ContainerId
from firkin.domain.process import ExitStatus

from ..agent_place import AgentPlace
from ..launches import ALL_PIPED, OUTPUT_PIPED
from ..opened_agent import everything, init_of


async def test_a_container_starts_writes_and_ends(agent_place: AgentPlace) -> None:
    async with agent_place.opened() as it:
        started = await it.started("c", "/bin/echo", "hello", stdio=OUTPUT_PIPED)
        assert started.pid > 0
        assert await everything(started.streams.stdout) == b"hello\n"
        assert started.streams.stdin is None
        assert started.streams.stderr is None
        assert await it.agent.wait_process(init_of("c")) == ExitStatus(0)
        await it.removed("c")


async def test_a_start_that_fails_names_the_command_and_leaves_the_id_usable(agent_place: AgentPlace) -> None:
    async with agent_place.opened() as it:
        with pytest.raises(CommandNotFound) as raised:
            await it.started("c", "/bin/nope")
        assert raised.value.command == "/bin/nope"
        await it.removed("c")
        await it.started("c", "/bin/true")
        assert await it.agent.wait_process(init_of("c")) == ExitStatus(0)


async def test_an_overlay_may_be_prepared_before_the_start(agent_place: AgentPlace) -> None:
    async with agent_place.opened() as it:
        await it.agent.ensure_template(it.bundle, it.layout)
        await it.agent.prepare_overlay(it.overlay_request("c"))
        await it.agent.start_container(it.launch("c", "/bin/true", with_overlay=False))
        assert await it.agent.wait_process(init_of("c")) == ExitStatus(0)
        await it.removed("c")


async def test_removing_kills_what_runs_and_an_unknown_container_is_removed_already(agent_place: AgentPlace) -> None:
    async with agent_place.opened() as it:
        await it.started("c", "/bin/sleep", "3600")
        await it.removed("c")
        await it.removed("c")
        await it.removed("never-was")
        await it.started("c", "/bin/true")
        await it.removed("c")


async def test_a_container_can_start_again_on_its_overlay(agent_place: AgentPlace) -> None:
    async with agent_place.opened() as it:
        await it.started("c", "/bin/true")
        await it.agent.wait_process(init_of("c"))
        await it.agent.remove_process(init_of("c"))
        await it.agent.start_container(it.launch("c", "/bin/true", with_overlay=False))
        assert await it.agent.wait_process(init_of("c")) == ExitStatus(0)
        await it.removed("c")


async def test_containers_start_and_end_side_by_side(agent_place: AgentPlace) -> None:
    async with agent_place.opened() as it:
        await it.agent.ensure_template(it.bundle, it.layout)

        async def run(container_id: str) -> bytes:
            started = await it.started(container_id, "/bin/echo", container_id, stdio=OUTPUT_PIPED)
            output = await everything(started.streams.stdout)
            assert await it.agent.wait_process(init_of(container_id)) == ExitStatus(0)
            await it.removed(container_id)
            return output

        names = [f"c{number}" for number in range(8)]
        assert await asyncio.gather(*map(run, names)) == [f"{name}\n".encode() for name in names]


async def test_a_cancelled_start_leaves_nothing_that_removing_does_not_take_away(agent_place: AgentPlace) -> None:
    async with agent_place.opened() as it:
        await it.agent.ensure_template(it.bundle, it.layout)
        for pause in (0.0, 0.002, 0.005, 0.01, 0.02):
            starting = asyncio.ensure_future(
                it.agent.start_container(it.launch("c", "/bin/sleep", "3600", stdio=ALL_PIPED))
            )
            await asyncio.sleep(pause)
            starting.cancel()
            await asyncio.wait([starting])
            await it.agent.remove_container(ContainerId("c"), it.overlay("c"))
        await it.started("c", "/bin/true")
        assert await it.agent.wait_process(init_of("c")) == ExitStatus(0)
