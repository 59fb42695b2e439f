"""What every agent promises of processes and their streams (ports/agent_processes.py, ports/streams.py)."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from firkin.domain.errors import (
    CommandNotFound,
    ContainerNotFound,
    ContainerNotRunning,
)
from firkin.domain.process import ExitReason, ExitStatus

from ..agent_place import AgentPlace
from ..launches import ALL_PIPED, OUTPUT_PIPED
from ..opened_agent import everything, init_of, same_bytes


async def test_output_is_there_after_the_wait(agent_place: AgentPlace) -> None:
    async with agent_place.opened() as it:
        started = await it.started("c", "/bin/echo", "late", stdio=OUTPUT_PIPED)
        await it.agent.wait_process(init_of("c"))
        await it.removed("c")
        assert await everything(started.streams.stdout) == b"late\n"


async def test_an_exit_code_is_told(agent_place: AgentPlace) -> None:
    async with agent_place.opened() as it:
        await it.started("c", "/bin/false")
        status = await it.agent.wait_process(init_of("c"))
        assert status == ExitStatus(1)
        assert not status.success


async def test_many_wait_for_one_process_also_after_its_end(agent_place: AgentPlace) -> None:
    async with agent_place.opened() as it:
        await it.started("c", "/bin/sleep", "3600")
        async with asyncio.TaskGroup() as group:
            waiters = [group.create_task(it.agent.wait_process(init_of("c"))) for _ in range(20)]
            await asyncio.sleep(0.05)
            assert not any(waiter.done() for waiter in waiters)
            await it.agent.kill_process(init_of("c"), signal.SIGKILL)
        killed = ExitStatus(137, 9, ExitReason.SIGNALED)
        assert {waiter.result() for waiter in waiters} == {killed}
        assert await it.agent.wait_process(init_of("c")) == killed


async def test_a_cancelled_waiter_leaves_the_process_and_the_other_waiters_alone(agent_place: AgentPlace) -> None:
    async with agent_place.opened() as it:
        await it.started("c", "/bin/sleep", "3600")
        first = asyncio.ensure_future(it.agent.wait_process(init_of("c")))
        second = asyncio.ensure_future(it.agent.wait_process(init_of("c")))
        await asyncio.sleep(0.02)
        first.cancel()
        await asyncio.wait([first])
        assert not second.done()
        await it.agent.kill_process(init_of("c"), signal.SIGKILL)
        assert (await second).signal == signal.SIGKILL


async def test_a_signal_to_a_process_that_has_ended_is_ignored(agent_place: AgentPlace) -> None:
    async with agent_place.opened() as it:
        await it.started("c", "/bin/true")
        await it.agent.wait_process(init_of("c"))
        await it.agent.kill_process(init_of("c"), signal.SIGTERM)
        assert await it.agent.wait_process(init_of("c")) == ExitStatus(0)


async def test_a_process_reads_what_is_written_and_then_the_end(agent_place: AgentPlace) -> None:
    async with agent_place.opened() as it:
        started = await it.started("c", "/bin/cat", stdio=ALL_PIPED)
        assert started.streams.stdin is not None
        await started.streams.stdin.write(b"one ")
        await started.streams.stdin.write(b"two")
        await started.streams.stdin.aclose()
        await started.streams.stdin.aclose()
        assert await everything(started.streams.stdout) == b"one two"
        assert await everything(started.streams.stderr) == b""
        assert await it.agent.wait_process(init_of("c")) == ExitStatus(0)


async def test_streams_carry_every_byte_both_ways(agent_place: AgentPlace) -> None:
    data = os.urandom(10 * 2**20)
    async with agent_place.opened() as it:
        started = await it.started("c", "/bin/cat", stdio=ALL_PIPED)
        stdin = started.streams.stdin
        assert stdin is not None

        async def write() -> None:
            await stdin.write(data)
            await stdin.aclose()

        async with asyncio.TaskGroup() as group:
            group.create_task(write())
            received = await everything(started.streams.stdout)
        assert same_bytes(received, data)
        assert await it.agent.wait_process(init_of("c")) == ExitStatus(0)


async def test_a_slow_reader_stops_neither_other_streams_nor_other_calls(agent_place: AgentPlace) -> None:
    data = os.urandom(16 * 2**20)
    async with agent_place.opened() as it:
        slow = await it.started("slow", "/bin/cat", stdio=ALL_PIPED)
        assert slow.streams.stdin is not None
        async with asyncio.TaskGroup() as group:
            writing = group.create_task(slow.streams.stdin.write(data))
            quick = await it.started("quick", "/bin/echo", "quick", stdio=OUTPUT_PIPED)
            assert await everything(quick.streams.stdout) == b"quick\n"
            assert await it.agent.wait_process(init_of("quick")) == ExitStatus(0)
            assert not writing.done()
            assert slow.streams.stdout is not None
            received = bytearray()
            while len(received) < len(data):
                received += await slow.streams.stdout.read()
        await slow.streams.stdin.aclose()
        assert same_bytes(received, data)
        assert await it.agent.wait_process(init_of("slow")) == ExitStatus(0)


async def test_a_further_process_runs_in_a_running_container(agent_place: AgentPlace) -> None:
    async with agent_place.opened() as it:
        await it.started("c", "/bin/sleep", "3600")
        launch = it.exec("c", "exec-1", "/bin/echo", "from the exec", stdio=OUTPUT_PIPED)
        started = await it.agent.start_process(launch)
        assert await everything(started.streams.stdout) == b"from the exec\n"
        assert await it.agent.wait_process(launch.ref) == ExitStatus(0)
        await it.agent.remove_process(launch.ref)
        await it.agent.remove_process(launch.ref)
        again = await it.agent.start_process(launch)
        assert await everything(again.streams.stdout) == b"from the exec\n"


async def test_removing_a_process_kills_it(agent_place: AgentPlace) -> None:
    async with agent_place.opened() as it:
        await it.started("c", "/bin/sleep", "3600")
        launch = it.exec("c", "exec-1", "/bin/sleep", "3600", stdio=OUTPUT_PIPED)
        started = await it.agent.start_process(launch)
        await it.agent.remove_process(launch.ref)
        assert await everything(started.streams.stdout) == b""


async def test_no_process_starts_in_a_container_that_has_ended(agent_place: AgentPlace) -> None:
    async with agent_place.opened() as it:
        await it.started("c", "/bin/true")
        await it.agent.wait_process(init_of("c"))
        with pytest.raises(ContainerNotRunning) as raised:
            await it.agent.start_process(it.exec("c", "exec-1", "/bin/true"))
        assert raised.value.container_id == "c"


async def test_an_exec_whose_command_is_not_there_says_so(agent_place: AgentPlace) -> None:
    async with agent_place.opened() as it:
        await it.started("c", "/bin/sleep", "3600")
        for _ in range(2):
            with pytest.raises(CommandNotFound):
                await it.agent.start_process(it.exec("c", "exec-1", "/bin/nope"))
        assert (await it.agent.start_process(it.exec("c", "exec-1", "/bin/true"))).pid > 0


async def test_a_wait_for_an_unknown_process_fails(agent_place: AgentPlace) -> None:
    async with agent_place.opened() as it:
        with pytest.raises(ContainerNotFound):
            await it.agent.wait_process(init_of("never-was"))
