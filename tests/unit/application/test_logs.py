"""Logs of containers and readers that attach, over adapters in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from firkin.adapters.memory import MemoryProcess
from firkin.domain.container_spec import PodContainerSpec
from firkin.domain.errors import InvalidArgument, NotLogged
from firkin.domain.output_log import LogEntry
from firkin.domain.process import Output, Stdio
from firkin.domain.restarting import RestartPolicy

from .worlds import World


def logged(world: World, *command: str, max_bytes: int = 2**20) -> PodContainerSpec:
    return world.container("a", *command).log(max_bytes)


async def bytes_of(entries: AsyncIterator[LogEntry]) -> bytes:
    return b"".join([entry.data async for entry in entries])


async def _both(process: MemoryProcess) -> int:
    assert process.stderr is not None
    for number in range(3):
        await process.say(f"out {number}\n")
        await process.stderr.write(f"err {number}\n".encode())
    return 0


async def test_a_log_is_complete_when_the_container_has_ended_and_stays_readable() -> None:
    world = World({"both": _both})
    async with world.runtime, world.runtime.spawn(world.pod(logged(world, "both"))) as pod:
        container = pod.container("a")
        assert (container.stdout, container.stderr) == (None, None)
        assert await container.wait_with_output() == Output(await container.wait())
        entries = [entry async for entry in container.logs()]
        assert b"".join(entry.data for entry in entries if entry.stream == "stdout") == b"out 0\nout 1\nout 2\n"
        assert b"".join(entry.data for entry in entries if entry.stream == "stderr") == b"err 0\nerr 1\nerr 2\n"
        assert len(b"".join([entry.data async for entry in container.logs(tail=2)])) == 12
        later = datetime.now(UTC) + timedelta(seconds=60)
        assert await bytes_of(container.logs(since=later)) == b""
        assert len(await bytes_of(container.logs(since=later - timedelta(hours=1), follow=True))) == 36
        await pod.remove_container("a")
        assert len(await bytes_of(container.logs())) == 36


async def test_a_log_goes_on_over_restarts_and_following_ends_with_the_container() -> None:
    world = World()
    async with world.runtime, world.runtime.spawn(world.pod(logged(world, "echo", "x"))) as pod:
        container = pod.container("a")
        assert await bytes_of(container.logs(follow=True)) == b"x\n"
        await container.wait()
        await container.restart()
        assert await bytes_of(container.logs(follow=True)) == b"x\nx\n"
        assert await bytes_of(container.logs(tail=1)) == b"x\n"


async def test_following_lasts_while_a_policy_starts_the_container_again() -> None:
    world = World()
    runs = 0

    async def twice(process: MemoryProcess) -> int:
        nonlocal runs
        runs += 1
        await process.say(f"run {runs}\n")
        return 1 if runs < 3 else 0

    world = World({"twice": twice})
    spec = world.pod(logged(world, "twice"))
    spec = type(spec)(
        spec.id, empty_dirs=spec.empty_dirs, containers=spec.containers, restart_policy=RestartPolicy.ON_FAILURE
    )
    async with world.runtime, world.runtime.spawn(spec) as pod:
        assert await bytes_of(pod.container("a").logs(follow=True)) == b"run 1\nrun 2\nrun 3\n"


async def test_many_readers_attach_and_a_slow_one_holds_nobody_up_but_is_told_what_it_lost() -> None:
    go = asyncio.Event()

    async def flood(process: MemoryProcess) -> int:
        await go.wait()
        for _ in range(100):
            await process.say("x" * 1000)
            await asyncio.sleep(0)
        return 0

    world = World({"flood": flood})
    async with world.runtime, world.runtime.spawn(world.pod(logged(world, "flood", max_bytes=5000))) as pod:
        container = pod.container("a")
        slow = container.attach()
        async with asyncio.TaskGroup() as group:
            readers = [group.create_task(bytes_of(container.attach())) for _ in range(3)]
            await asyncio.sleep(0)
            go.set()
        assert {len(reader.result()) for reader in readers} == {100_000}
        assert (await container.wait()).success
        entries = [entry async for entry in slow]
        assert sum(len(entry.data) for entry in entries) <= 5000
        assert sum(len(entry.data) + entry.lost_bytes for entry in entries) == 100_000


async def test_a_reader_that_goes_away_leaves_the_others_alone() -> None:
    world = World()
    async with world.runtime, world.runtime.spawn(world.pod(logged(world, "cat").stdin(Stdio.PIPED))) as pod:
        container = pod.container("a")
        staying, leaving = container.attach(), container.attach()
        waiting = asyncio.ensure_future(anext(leaving))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert container.stdin is not None
        await container.stdin.write(b"typed")
        assert (await anext(staying)).data == b"typed"
        await container.stdin.aclose()
        assert await bytes_of(staying) == b""


async def test_without_a_log_there_is_nothing_to_read() -> None:
    world = World()
    async with world.runtime, world.runtime.spawn(world.pod(world.container("a"))) as pod:
        container = pod.container("a")
        with pytest.raises(NotLogged):
            container.logs()
        with pytest.raises(NotLogged):
            container.attach()
        with pytest.raises(InvalidArgument):
            await container.exec("true", stdout=Stdio.LOG)
        logging = await pod.add_container(PodContainerSpec("b", container.spec.rootfs).command("true").log())
        with pytest.raises(InvalidArgument):
            logging.logs(tail=-1)
