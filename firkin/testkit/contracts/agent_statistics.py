"""What containers use."""

from __future__ import annotations

import asyncio
import time

import pytest

from firkin.domain.errors import ContainerNotFound
from firkin.domain.ids import ContainerId

from ..agent_place import AgentPlace
from ..opened_agent import POD, OpenAgent, init_of

C, D, NOBODY = ContainerId("c"), ContainerId("d"), ContainerId("nobody")


async def test_statistics_tell_processes_memory_and_time_of_those_that_there_are(agent_place: AgentPlace) -> None:
    async with agent_place.opened() as it:
        await it.started("c", "/bin/sleep", "3600")
        await it.started("d", "/bin/sleep", "3600")
        await it.agent.start_process(it.exec("c", "e", "/bin/sleep", "3600"))
        first, second = await it.agent.statistics([C, NOBODY, D])
        assert (first.container_id, second.container_id) == ("c", "d")
        assert (first.processes.current, second.processes.current) == (2, 1)
        assert first.memory.usage_bytes is not None
        assert first.memory.usage_bytes > 0
        assert first.memory.limit_bytes is None
        assert first.cpu.usage_usec is not None
        assert first.cpu.usage_usec > 0
        assert first.memory_events.oom_kill == 0
        assert abs(first.taken_unix_seconds - time.time()) < 60
        await it.removed("c")
        (left,) = await it.agent.statistics([C, D])
        assert left.container_id == "d"
        assert list(await it.agent.statistics([])) == []


async def test_processes_are_listed_or_the_agent_says_that_it_cannot(agent_place: AgentPlace) -> None:
    async with agent_place.opened() as it:
        started = await it.started("c", "/bin/sleep", "3600")
        await it.started("d", "/bin/sleep", "1234")
        execed = await it.agent.start_process(it.exec("c", "e", "/bin/sleep", "3601"))
        with it.claiming("process-list"):
            await _check_processes(it, started.pid, execed.pid)


async def _check_processes(it: OpenAgent, *pids: int) -> None:
    processes = await it.agent.processes(C)
    assert [one.pid for one in processes] == sorted(pids)
    init = processes[0]
    assert (init.command, init.container_pid, init.uid, init.gid) == (("/bin/sleep", "3600"), 1, 0, 0)
    assert init.state in "RS"
    assert abs(init.started_unix_seconds - time.time()) < 60
    assert init.resident_bytes > 0
    assert init.threads == 1
    await it.agent.kill_process(init_of("c"), 9)
    await it.agent.wait_process(init_of("c"))
    assert list(await it.agent.processes(C)) == []
    with pytest.raises(ContainerNotFound):
        await it.agent.processes(NOBODY)


async def test_the_stores_space_is_told_by_what_takes_it(agent_place: AgentPlace) -> None:
    async with agent_place.opened() as it:
        await it.started("c", "/bin/sleep", "3600")
        await it.agent.write_file(it.layout.empty_dir(POD, it.preparation.volumes[0].name), "file", bytes(100_000))
        with it.claiming("store-usage"):
            breakdown = await it.agent.store_breakdown(POD, it.layout)
            assert breakdown.templates.inodes > 0
            assert list(breakdown.containers) == ["c"]
            assert breakdown.volumes["data"].bytes >= 100_000
            assert all(space.is_complete for space in (breakdown.templates, *breakdown.volumes.values()))


async def test_statistics_of_many_containers_are_read_at_once(agent_place: AgentPlace) -> None:
    async with agent_place.opened() as it:
        await it.agent.ensure_template(it.bundle, it.layout)
        names = [f"c{number}" for number in range(8)]
        await asyncio.gather(*(it.agent.start_container(it.launch(name, "/bin/sleep", "3600")) for name in names))
        read = await it.agent.statistics([ContainerId(name) for name in names])
        assert [one.container_id for one in read] == names
