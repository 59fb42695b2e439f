"""Processes with a terminal: what every agent promises, and what only real terminals show."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from firkin.domain.errors import ContainerNotRunning, InvalidTerminalSize, NoTerminal
from firkin.domain.process import ExitStatus, ProcessRef, StdioOptions
from firkin.domain.terminal import TerminalSize
from firkin.ports.agent_processes import StartedProcess
from firkin.ports.streams import ByteSink, ByteSource

from .launches import OUTPUT_PIPED, TERMINAL_PIPED
from .roads import AGENT_V1, MEMORY, SANDBOX_CONTEXT, OpenAgent, Road, everything, init_of

pytestmark = pytest.mark.real_time

SIZE = TerminalSize(100, 30)
MEGABYTE = 1_000_000


@pytest.fixture(params=[AGENT_V1, SANDBOX_CONTEXT])
def road(request: pytest.FixtureRequest, tmp_path: Path) -> Road:
    return Road(str(request.param), tmp_path)


@pytest.fixture(params=[MEMORY, AGENT_V1, SANDBOX_CONTEXT])
def any_road(request: pytest.FixtureRequest, tmp_path: Path) -> Road:
    return Road(str(request.param), tmp_path)


@asynccontextmanager
async def shell(road: Road, script: str, stdio: StdioOptions = TERMINAL_PIPED) -> AsyncIterator[Shell]:
    """A container with a terminal that runs a script."""
    async with road.opened() as it, asyncio.timeout(30):
        yield Shell(it, await it.started("c", "sh", "-c", script, stdio=stdio, terminal=SIZE))


class Shell:
    """The host's side of a terminal."""

    def __init__(self, it: OpenAgent, started: StartedProcess) -> None:
        self.agent = it.agent
        self._started = started

    @property
    def stdin(self) -> ByteSink:
        assert self._started.streams.stdin is not None
        return self._started.streams.stdin

    @property
    def stdout(self) -> ByteSource:
        assert self._started.streams.stdout is not None
        return self._started.streams.stdout

    async def until(self, end: bytes) -> bytes:
        """Read until the output ends so."""
        received = bytearray()
        while not received.endswith(end):
            piece = await self.stdout.read()
            assert piece, bytes(received)
            received += piece
        return bytes(received)

    async def ended(self) -> tuple[bytes, ExitStatus]:
        """The rest of the output, and the status."""
        rest = await everything(self.stdout)
        return rest, await self.agent.wait_process(init_of("c"))


def size_command(road: Road, script: str = "stty size") -> tuple[str, ...]:
    return ("size",) if road.name == MEMORY else ("sh", "-c", script)


async def test_a_terminal_has_its_size_from_the_start(any_road: Road) -> None:
    async with any_road.opened() as it:
        started = await it.started("c", *size_command(any_road), stdio=OUTPUT_PIPED, terminal=SIZE)
        assert await everything(started.streams.stdout) == b"30 100\r\n"
        assert await it.agent.wait_process(init_of("c")) == ExitStatus(0)


async def test_an_exec_has_a_terminal_of_its_own(any_road: Road) -> None:
    async with any_road.opened() as it:
        await it.started("c", "/bin/sleep", "3600")
        # crun sets the size of an exec's terminal beside the start of its command, which SIGWINCH then tells of it.
        command = size_command(any_road, 'until size=$(stty size 2>/dev/null) && [ "$size" ]; do :; done; echo $size')
        launch = it.exec("c", "e", *command, stdio=OUTPUT_PIPED, terminal=TerminalSize(200, 50))
        started = await it.agent.start_process(launch)
        assert await everything(started.streams.stdout) == b"50 200\r\n"
        assert await it.agent.wait_process(ProcessRef("c", "e")) == ExitStatus(0)


async def test_a_process_learns_of_each_new_size(any_road: Road) -> None:
    script = "trap 'stty size' WINCH; stty size; while :; do sleep 0.02; done"
    command = ("sizes",) if any_road.name == MEMORY else ("sh", "-c", script)
    async with any_road.opened() as it, asyncio.timeout(30):
        seen = Shell(it, await it.started("c", *command, stdio=OUTPUT_PIPED, terminal=SIZE))
        await seen.until(b"30 100\r\n")
        for columns, rows in ((120, 40), (30, 10)):
            await it.agent.resize_process(init_of("c"), columns, rows)
            await seen.until(f"{rows} {columns}\r\n".encode())
        with pytest.raises(InvalidTerminalSize) as raised:
            await it.agent.resize_process(init_of("c"), 65536, 1)
        assert (raised.value.columns, raised.value.rows) == (65536, 1)
        await it.removed("c")


async def test_a_process_without_a_terminal_cannot_be_resized_and_one_that_has_ended_ignores_it(
    any_road: Road,
) -> None:
    async with any_road.opened() as it:
        await it.started("plain", "/bin/sleep", "3600")
        with pytest.raises(NoTerminal):
            await it.agent.resize_process(init_of("plain"), 80, 24)
        await it.started("over", "/bin/true", terminal=SIZE)
        await it.agent.wait_process(init_of("over"))
        await it.agent.resize_process(init_of("over"), 80, 24)


async def test_every_stream_is_the_terminal(road: Road) -> None:
    script = "test -t 0 && test -t 1 && test -t 2 && echo $TERM; tty; ls -l /dev/console >/dev/null && echo err >&2"
    async with shell(road, script) as it:
        output, status = await it.ended()
        assert (output, status) == (b"xterm\r\n/dev/pts/0\r\nerr\r\n", ExitStatus(0))


async def test_control_characters_arrive_as_bytes_and_act_inside(road: Road) -> None:
    script = "trap 'echo interrupted; exit 5' INT; echo ready; while :; do sleep 0.02; done"
    async with shell(road, script) as it:
        await it.until(b"ready\r\n")
        await it.stdin.write(b"\x03")
        assert await it.ended() == (b"^Cinterrupted\r\n", ExitStatus(5))
    async with shell(road, "stty raw -echo; echo ready; head -c 1 | od -An -tx1") as it:
        await it.until(b"ready\n")
        await it.stdin.write(b"\x03")
        assert (await it.ended())[0].split() == [b"03"]


async def test_end_of_file_is_typed_and_closing_the_input_ends_nothing(road: Road) -> None:
    async with shell(road, "cat; echo read; sleep 0.1; echo on") as it:
        await it.stdin.write(b"line\n\x04")
        await it.until(b"read\r\n")
        await it.stdin.aclose()
        assert await it.ended() == (b"on\r\n", ExitStatus(0))


async def test_a_megabyte_passes_byte_for_byte_both_ways(road: Road) -> None:
    data = bytes(range(256)) * (MEGABYTE // 256)
    async with shell(road, f"stty raw -echo; echo ready; head -c {len(data)}") as it:
        await it.until(b"ready\n")
        async with asyncio.TaskGroup() as group:
            group.create_task(it.stdin.write(data))
            output, status = await it.ended()
        assert (output == data, status) == (True, ExitStatus(0))


async def test_output_that_nobody_reads_in_time_is_kept_after_the_end(road: Road) -> None:
    async with shell(road, f"stty -opost; head -c {MEGABYTE} /dev/zero") as it:
        waiting = asyncio.ensure_future(it.agent.wait_process(init_of("c")))
        await asyncio.sleep(0.3)
        assert not waiting.done()
        assert await everything(it.stdout) == bytes(MEGABYTE)
        assert await waiting == ExitStatus(0)


async def test_the_last_output_of_an_exec_has_arrived_when_it_has_ended(road: Road) -> None:
    script = "stty -opost; (trap '' HUP; sleep 3600) & head -c 100000 /dev/zero; printf last"
    async with road.opened() as it, asyncio.timeout(30):
        await it.started("c", "/bin/sleep", "3600")
        started = await it.agent.start_process(it.exec("c", "e", "sh", "-c", script, stdio=OUTPUT_PIPED, terminal=SIZE))
        ref = ProcessRef("c", "e")
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(everything(started.streams.stdout))
            assert await it.agent.wait_process(ref) == ExitStatus(0)
            await it.agent.remove_process(ref)
        assert reading.result() == bytes(100_000) + b"last"


async def test_a_terminal_that_nobody_looks_at_holds_nothing_up(road: Road) -> None:
    async with road.opened() as it, asyncio.timeout(30):
        await it.started("c", "sh", "-c", f"head -c {MEGABYTE} /dev/zero", terminal=SIZE)
        assert await it.agent.wait_process(init_of("c")) == ExitStatus(0)


async def test_a_process_is_hung_up_when_its_reader_goes_away(road: Road) -> None:
    async with shell(road, "trap 'exit 7' HUP; while :; do echo x; sleep 0.02; done") as it:
        await it.stdout.aclose()
        assert await it.agent.wait_process(init_of("c")) == ExitStatus(7)


async def test_a_start_that_fails_leaves_no_terminal(road: Road) -> None:
    async with road.opened() as it:
        for _ in range(3):
            with pytest.raises(Exception, match="nope"):
                await it.started("c", "/bin/nope", stdio=TERMINAL_PIPED, terminal=SIZE)
            await it.removed("c")
        started = await it.started("c", "tty", stdio=TERMINAL_PIPED, terminal=SIZE)
        assert await everything(started.streams.stdout) == b"/dev/pts/0\r\n"
        await it.agent.wait_process(init_of("c"))
        with pytest.raises(ContainerNotRunning):
            await it.agent.start_process(it.exec("c", "e", "true", terminal=SIZE))
