"""Processes with a terminal: what only real terminals show."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from firkin.domain.errors import ContainerNotRunning, InvalidTerminalSize
from firkin.domain.process import ExitStatus, ProcessRef, StdioOptions
from firkin.domain.terminal import TerminalSize
from firkin.ports.agent_processes import StartedProcess
from firkin.ports.streams import ByteSink, ByteSource

from ..agent_place import AgentPlace
from ..launches import OUTPUT_PIPED, TERMINAL_PIPED
from ..opened_agent import OpenAgent, everything, init_of

SIZE = TerminalSize(100, 30)
MEGABYTE = 1_000_000


@asynccontextmanager
async def shell(agent_place: AgentPlace, script: str, stdio: StdioOptions = TERMINAL_PIPED) -> AsyncIterator[Shell]:
    """A container with a terminal that runs a script."""
    async with agent_place.opened() as it, asyncio.timeout(60):
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
        """Read until the output ends so, and nothing of what was written later: it may have come already."""
        received = bytearray()
        while not received.endswith(end):
            piece = await self.stdout.read(1)
            assert piece, bytes(received)
            received += piece
        return bytes(received)

    async def ended(self) -> tuple[bytes, ExitStatus]:
        """The rest of the output, and the status."""
        rest = await everything(self.stdout)
        return rest, await self.agent.wait_process(init_of("c"))


async def test_an_exec_has_a_terminal_of_its_own(agent_place: AgentPlace) -> None:
    async with agent_place.opened() as it:
        await it.started("c", "/bin/sleep", "3600")
        # crun sets the size of an exec's terminal beside the start of its command, which SIGWINCH then tells of it.
        script = 'until size=$(stty size 2>/dev/null) && [ "$size" ]; do :; done; echo $size'
        launch = it.exec("c", "e", "sh", "-c", script, stdio=OUTPUT_PIPED, terminal=TerminalSize(200, 50))
        started = await it.agent.start_process(launch)
        assert await everything(started.streams.stdout) == b"50 200\r\n"
        assert await it.agent.wait_process(ProcessRef("c", "e")) == ExitStatus(0)


async def test_a_process_learns_of_each_new_size(agent_place: AgentPlace) -> None:
    script = "trap 'stty size' WINCH; stty size; while :; do sleep 0.02; done"
    async with agent_place.opened() as it, asyncio.timeout(60):
        seen = Shell(it, await it.started("c", "sh", "-c", script, stdio=OUTPUT_PIPED, terminal=SIZE))
        await seen.until(b"30 100\r\n")
        for columns, rows in ((120, 40), (30, 10)):
            await it.agent.resize_process(init_of("c"), columns, rows)
            await seen.until(f"{rows} {columns}\r\n".encode())
        with pytest.raises(InvalidTerminalSize) as raised:
            await it.agent.resize_process(init_of("c"), 65536, 1)
        assert (raised.value.columns, raised.value.rows) == (65536, 1)
        await it.removed("c")


async def test_every_stream_is_the_terminal(agent_place: AgentPlace) -> None:
    script = "test -t 0 && test -t 1 && test -t 2 && echo $TERM; tty; ls -l /dev/console >/dev/null && echo err >&2"
    async with shell(agent_place, script) as it:
        output, status = await it.ended()
        assert (output, status) == (b"xterm\r\n/dev/pts/0\r\nerr\r\n", ExitStatus(0))


async def test_control_characters_arrive_as_bytes_and_act_inside(agent_place: AgentPlace) -> None:
    script = "trap 'echo interrupted; exit 5' INT; echo ready; while :; do sleep 0.02; done"
    async with shell(agent_place, script) as it:
        await it.until(b"ready\r\n")
        await it.stdin.write(b"\x03")
        assert await it.ended() == (b"^Cinterrupted\r\n", ExitStatus(5))
    async with shell(agent_place, "stty raw -echo; echo ready; head -c 1 | od -An -tx1") as it:
        await it.until(b"ready\n")
        await it.stdin.write(b"\x03")
        assert (await it.ended())[0].split() == [b"03"]


async def test_end_of_file_is_typed_and_closing_the_input_ends_nothing(agent_place: AgentPlace) -> None:
    async with shell(agent_place, "cat; echo read; sleep 0.1; echo on") as it:
        await it.stdin.write(b"line\n\x04")
        await it.until(b"read\r\n")
        await it.stdin.aclose()
        assert await it.ended() == (b"on\r\n", ExitStatus(0))


async def test_a_megabyte_passes_byte_for_byte_both_ways(agent_place: AgentPlace) -> None:
    data = bytes(range(256)) * (MEGABYTE // 256)
    async with shell(agent_place, f"stty raw -echo; echo ready; head -c {len(data)}") as it:
        await it.until(b"ready\n")
        async with asyncio.TaskGroup() as group:
            group.create_task(it.stdin.write(data))
            output, status = await it.ended()
        assert (output == data, status) == (True, ExitStatus(0))


async def test_output_that_nobody_reads_in_time_is_kept_after_the_end(agent_place: AgentPlace) -> None:
    async with shell(agent_place, f"stty -opost; head -c {MEGABYTE} /dev/zero") as it:
        waiting = asyncio.ensure_future(it.agent.wait_process(init_of("c")))
        await asyncio.sleep(0.3)
        assert not waiting.done()
        assert await everything(it.stdout) == bytes(MEGABYTE)
        assert await waiting == ExitStatus(0)


async def test_the_last_output_of_an_exec_has_arrived_when_it_has_ended(agent_place: AgentPlace) -> None:
    script = "stty -opost; (trap '' HUP; sleep 3600) & head -c 100000 /dev/zero; printf last"
    async with agent_place.opened() as it, asyncio.timeout(60):
        await it.started("c", "/bin/sleep", "3600")
        started = await it.agent.start_process(it.exec("c", "e", "sh", "-c", script, stdio=OUTPUT_PIPED, terminal=SIZE))
        ref = ProcessRef("c", "e")
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(everything(started.streams.stdout))
            assert await it.agent.wait_process(ref) == ExitStatus(0)
            await it.agent.remove_process(ref)
        assert reading.result() == bytes(100_000) + b"last"


async def test_a_terminal_that_nobody_looks_at_holds_nothing_up(agent_place: AgentPlace) -> None:
    async with agent_place.opened() as it, asyncio.timeout(60):
        await it.started("c", "sh", "-c", f"head -c {MEGABYTE} /dev/zero", terminal=SIZE)
        assert await it.agent.wait_process(init_of("c")) == ExitStatus(0)


async def test_a_process_is_hung_up_when_its_reader_goes_away(agent_place: AgentPlace) -> None:
    async with shell(agent_place, "trap 'exit 7' HUP; while :; do echo x; sleep 0.02; done") as it:
        # Until it has set its trap, its first process would not hear of it.
        assert await it.stdout.read(1) == b"x"
        await it.stdout.aclose()
        assert await it.agent.wait_process(init_of("c")) == ExitStatus(7)


async def test_a_start_that_fails_leaves_no_terminal(agent_place: AgentPlace) -> None:
    async with agent_place.opened() as it:
        for _ in range(3):
            with pytest.raises(Exception, match="nope"):
                await it.started("c", "/bin/nope", stdio=TERMINAL_PIPED, terminal=SIZE)
            await it.removed("c")
        started = await it.started("c", "tty", stdio=TERMINAL_PIPED, terminal=SIZE)
        assert await everything(started.streams.stdout) == b"/dev/pts/0\r\n"
        await it.agent.wait_process(init_of("c"))
        with pytest.raises(ContainerNotRunning):
            await it.agent.start_process(it.exec("c", "e", "true", terminal=SIZE))
