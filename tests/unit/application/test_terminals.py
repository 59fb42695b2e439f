"""Terminals of containers and of execs, over adapters in memory."""

from __future__ import annotations

import pytest

from firkin.application.container import Container
from firkin.application.container_exec import Process
from firkin.domain.container_spec import PodContainerSpec
from firkin.domain.errors import InvalidArgument, InvalidPodSpec, InvalidTerminalSize, NoTerminal
from firkin.domain.process import Stdio

from .worlds import World


def with_terminal(world: World, *command: str) -> PodContainerSpec:
    return world.container("a", *command).stderr(Stdio.NULL).tty(size=(100, 30))


async def shown(process: Container | Process) -> bytes:
    assert process.stdout is not None
    assert process.stderr is None
    return await process.stdout.read_line()


async def test_a_container_has_its_terminal_and_learns_of_new_sizes_also_after_a_restart() -> None:
    world = World()
    async with world.runtime, world.runtime.spawn(world.pod(with_terminal(world, "sizes"))) as pod:
        container = pod.container("a")
        assert await shown(container) == b"30 100\r\n"
        await container.resize(120, 40)
        assert await shown(container) == b"40 120\r\n"
        with pytest.raises(InvalidTerminalSize):
            await container.resize(65536, 1)
        await container.stop(0)
        await container.resize(10, 10)
        await pod.restart_container("a")
        assert await shown(container) == b"30 100\r\n"


async def test_an_exec_has_a_terminal_when_asked_and_its_stderr_is_in_it() -> None:
    world = World()
    async with world.runtime, world.runtime.spawn(world.pod(world.container("a"))) as pod:
        container = pod.container("a")
        with pytest.raises(NoTerminal):
            await container.resize(80, 24)
        async with await container.exec("sizes", tty=True, size=(132, 43)) as process:
            assert await shown(process) == b"43 132\r\n"
            await process.resize(80, 0)
            assert await shown(process) == b"0 80\r\n"
        async with await container.exec("size", stderr=Stdio.NULL) as process:
            assert (await process.wait()).code == 1
        with pytest.raises(InvalidArgument, match="stderr cannot go elsewhere"):
            await container.exec("size", tty=True, stderr=Stdio.PIPED)
        with pytest.raises(InvalidTerminalSize):
            await container.exec("size", tty=True, size=(80, -1))


async def test_a_terminal_whose_stderr_is_wanted_apart_is_refused_before_anything_boots() -> None:
    world = World()
    with pytest.raises(InvalidPodSpec):
        world.pod(world.container("a").tty())
