"""What every agent promises (ports/agent.py and its parts)."""

from __future__ import annotations

import asyncio
import errno
import os
import signal

import pytest

from firkin.domain.errors import (
    BootFailed,
    CommandNotFound,
    ContainerNotFound,
    ContainerNotRunning,
    FirkinError,
    Outcome,
    SandboxDied,
    StoreFull,
)
from firkin.domain.guest_path import GuestPath
from firkin.domain.ids import ContainerId
from firkin.domain.process import ExitReason, ExitStatus
from firkin.domain.stages import TEMPLATE_STAGES
from firkin.ports.agent_templates import TemplateProgress

from ..agent_place import AgentPlace
from ..launches import ALL_PIPED, OUTPUT_PIPED
from ..opened_agent import OpenAgent, everything, init_of, same_bytes


@pytest.mark.empty_store
async def test_a_template_is_made_once_and_is_there_in_the_next_sandbox(agent_place: AgentPlace) -> None:
    told: list[TemplateProgress] = []
    async with agent_place.opened() as it:
        first = await it.agent.ensure_template(it.bundle, it.layout, told.append)
        second = await it.agent.ensure_template(it.bundle, it.layout)
        await it.agent.tear_down_pod(it.preparation)
    assert first.created
    assert first.entries > 0
    assert not second.created
    total = sum(layer.size_bytes for layer in it.bundle.layers)
    assert (told[-1].done_bytes, told[-1].total_bytes) == (total, total)
    async with agent_place.opened() as it:
        assert not (await it.agent.ensure_template(it.bundle, it.layout)).created


@pytest.mark.empty_store
async def test_making_a_template_tells_what_its_stages_took(agent_place: AgentPlace) -> None:
    async with agent_place.opened() as it:
        made = await it.agent.ensure_template(it.bundle, it.layout)
        found = await it.agent.ensure_template(it.bundle, it.layout)
    assert made.stage_seconds.keys() <= set(TEMPLATE_STAGES)
    assert made.stage_seconds["write"] > 0
    assert made.stage_seconds["commit"] > 0
    # One layer: each of its stages is at work for as long as the whole takes, at most.
    assert max(made.stage_seconds.values()) <= made.seconds
    assert found.stage_seconds == {}


async def test_a_container_starts_writes_and_ends(agent_place: AgentPlace) -> None:
    async with agent_place.opened() as it:
        started = await it.started("c", "/bin/echo", "hello", stdio=OUTPUT_PIPED)
        assert started.pid > 0
        assert await everything(started.streams.stdout) == b"hello\n"
        assert started.streams.stdin is None
        assert started.streams.stderr is None
        assert await it.agent.wait_process(init_of("c")) == ExitStatus(0)
        await it.removed("c")


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


async def test_the_store_tells_how_full_it_is_and_trims(agent_place: AgentPlace) -> None:
    async with agent_place.opened() as it:
        usage = await it.agent.usage(it.layout.mount)
        assert usage.total_blocks >= usage.free_blocks >= usage.available_blocks > 0
        assert usage.block_size > 0
        assert await it.agent.trim(GuestPath(it.volume("fast"))) == 0


async def test_tearing_down_twice_is_clean(agent_place: AgentPlace) -> None:
    async with agent_place.opened() as it:
        await it.started("c", "/bin/true")
        await it.agent.wait_process(init_of("c"))
        await it.removed("c")
        assert list(await it.agent.tear_down_pod(it.preparation)) == []
        assert list(await it.agent.tear_down_pod(it.preparation)) == []


async def test_the_end_of_the_sandbox_ends_a_pending_wait_and_every_later_call(agent_place: AgentPlace) -> None:
    async with agent_place.opened() as it:
        await it.started("c", "/bin/sleep", "3600")
        pending = asyncio.ensure_future(it.agent.wait_process(init_of("c")))
        await asyncio.sleep(0.02)
        await it.sandbox.stop(0)
        with pytest.raises(SandboxDied):
            await pending
        async with asyncio.timeout(1):
            for _ in range(2):
                with pytest.raises(SandboxDied) as raised:
                    await it.agent.prepare_pod(it.preparation)
                assert raised.value.outcome is Outcome.DID_NOT


async def test_nobody_connects_to_a_sandbox_that_has_ended(agent_place: AgentPlace) -> None:
    async with agent_place.opened() as it:
        await it.sandbox.stop(0)
        with pytest.raises(BootFailed):
            await _connect(agent_place, it)


async def test_a_wait_for_an_unknown_process_fails(agent_place: AgentPlace) -> None:
    async with agent_place.opened() as it:
        with pytest.raises(ContainerNotFound):
            await it.agent.wait_process(init_of("never-was"))


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


async def _connect(agent_place: AgentPlace, it: OpenAgent) -> None:
    async with agent_place.connector.connected(it.sandbox, 5):
        pass


async def test_a_volume_with_a_size_limit_holds_that_much_and_no_more(agent_place: AgentPlace) -> None:
    async with agent_place.opened() as it:
        fast = GuestPath(it.volume("fast"))
        assert (await it.agent.usage(fast)).available_bytes == 2**20
        await it.agent.write_file(fast, "half", bytes(2**19))
        assert (await it.agent.usage(fast)).available_bytes == 2**19
        with pytest.raises(FirkinError) as raised:
            await it.agent.write_file(fast, "more", bytes(2**20))
        assert isinstance(raised.value, StoreFull) or getattr(raised.value, "errno", 0) == errno.ENOSPC
        await it.agent.write_file(GuestPath(it.volume("data")), "neighbour", bytes(2**20))
