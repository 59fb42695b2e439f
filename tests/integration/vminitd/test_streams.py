"""Streams of processes: nothing is lost, and nobody waits for somebody else's reader."""

from __future__ import annotations

import asyncio
import signal
from functools import partial
from pathlib import Path

import pytest

from firkin.testkit.opened_agent import same_bytes
from firkin.wire import sandbox_context_pb2 as context

from .agent_process import CALL_SECONDS, HostStream, RunningAgent, running_agent, runtime_spec
from .full_streams import filled

pytestmark = pytest.mark.real_time

_MEBIBYTE = 1 << 20


async def test_input_comes_back_from_cat_and_its_end_ends_it(rootfs: Path) -> None:
    data = bytes(range(256)) * 4096 * 3
    async with running_agent() as agent:
        stdin, stdout = await agent.listen(), await agent.listen()
        await agent.start("one", runtime_spec(rootfs, "cat"), stdin=stdin, stdout=stdout)
        _, writer = await stdin.ends()

        async def feed() -> None:
            writer.write(data)
            await writer.drain()
            writer.write_eof()

        _, out = await asyncio.gather(feed(), stdout.read())
        end = await agent.wait("one")
    assert out == data
    assert (end.code, end.stdout_bytes) == (0, len(data))


async def test_all_output_has_arrived_before_the_wait_returns(rootfs: Path) -> None:
    async with running_agent() as agent:
        stdout = await agent.listen()
        spec = runtime_spec(rootfs, "dd", "if=/proc/self/exe", "bs=64k", "count=3")
        await agent.start("one", spec, stdout=stdout)
        reading = asyncio.ensure_future(stdout.read())
        end = await agent.wait("one")
        out = await reading
    assert end.stdout_bytes == len(out) == 3 * 65536
    assert out == (rootfs / "bin/busybox").read_bytes()[: 3 * 65536]


async def test_a_reader_that_stops_holds_up_only_its_own_stream(rootfs: Path) -> None:
    async with running_agent() as agent:
        stalled, flowing = await agent.listen(), await agent.listen()
        await agent.start("flood", runtime_spec(rootfs, "yes"), stdout=stalled)
        await stalled.ends()
        await agent.start("other", runtime_spec(rootfs, "yes"), stdout=flowing)
        reader, _ = await flowing.ends()
        for _ in range(64):
            await asyncio.wait_for(reader.readexactly(_MEBIBYTE), CALL_SECONDS)
        end, out, _ = await agent.output("third", runtime_spec(rootfs, "echo", "still here"))
        await agent.kill("flood", signal.SIGKILL)
        assert await agent.remove("flood") == []
        assert await agent.remove("other") == []
    assert (end.code, out) == (0, b"still here\n")


async def test_a_reader_that_is_gone_breaks_the_pipe(rootfs: Path) -> None:
    async with running_agent() as agent:
        stdout = await agent.listen()
        await agent.start("one", runtime_spec(rootfs, "sh", "-c", "yes; echo status $?"), stdout=stdout)
        reader, writer = await stdout.ends()
        await reader.readexactly(4)
        writer.transport.abort()
        end = await agent.wait("one")
    assert end.code in (0, 1)


async def test_an_exec_runs_beside_the_init_and_its_background_child_delays_nothing(rootfs: Path) -> None:
    async with running_agent() as agent:
        await agent.start("one", runtime_spec(rootfs, "sleep", "60"))
        stdout = await agent.listen()
        spec = runtime_spec(rootfs, "sh", "-c", "sleep 3600 & echo done; exit 4")
        await agent.execute("one", "job", spec, stdout=stdout)
        end = await asyncio.wait_for(agent.wait("one", "job"), CALL_SECONDS)
        reader, _ = await stdout.ends()
        line = await reader.readline()
        assert await agent.remove("one") == []
    assert (end.code, end.stdout_bytes, line) == (4, 5, b"done\n")


async def test_the_first_contract_runs_a_container_without_tokens(rootfs: Path) -> None:
    async with running_agent() as agent:
        stdin, stdout = await _created_cat(agent, rootfs)
        started = await agent.context.StartProcess(context.StartProcessRequest(id="one", containerID="one"))
        _, writer = await stdin.ends()
        writer.write(b"tokenless")
        await writer.drain()
        await agent.context.CloseProcessStdin(context.CloseProcessStdinRequest(id="one", containerID="one"))
        end = await agent.context.WaitProcess(context.WaitProcessRequest(id="one", containerID="one"))
        out = await stdout.read()
        for _ in range(2):
            await agent.context.DeleteProcess(context.DeleteProcessRequest(id="one", containerID="one"))
    assert started.pid > 0
    assert (end.exitCode, out) == (0, b"tokenless")
    assert end.exited_at.seconds > 0


async def test_a_close_of_the_input_comes_behind_its_bytes_however_late_they_are_read(rootfs: Path) -> None:
    async with running_agent() as agent:
        stdin, stdout = await agent.listen(), await agent.listen()
        await agent.start("one", runtime_spec(rootfs, "cat"), stdin=stdin, stdout=stdout)
        _, writer = await stdin.ends()
        sent, last = await filled(partial(_send, writer))
        # Answered while nobody reads: `cat` has no room for its output, hence takes no input.
        for _ in range(2):
            await agent.context.CloseProcessStdin(_close_of("one"), timeout=CALL_SECONDS)
        received = await stdout.read()
        end = await agent.wait("one")
    assert (end.code, end.stdout_bytes) == (0, len(received))
    assert len(received) >= len(sent)
    assert same_bytes(received, (sent + last)[: len(received)])


async def test_a_close_of_the_input_before_the_start_is_remembered(rootfs: Path) -> None:
    async with running_agent() as agent:
        stdin, stdout = await _created_cat(agent, rootfs)
        _, writer = await stdin.ends()
        await _send(writer, b"before the start")
        await agent.context.CloseProcessStdin(_close_of("one"), timeout=CALL_SECONDS)
        await agent.context.StartProcess(context.StartProcessRequest(id="one", containerID="one"), timeout=CALL_SECONDS)
        out = await stdout.read()
        end = await agent.wait("one")
    assert (end.code, out) == (0, b"before the start")


async def _created_cat(agent: RunningAgent, rootfs: Path) -> tuple[HostStream, HostStream]:
    """A container `one` that will run `cat`: its input and its output, without tokens."""
    stdin, stdout = await agent.listen(token=False), await agent.listen(token=False)
    create = context.CreateProcessRequest(
        id="one",
        containerID="one",
        stdin=stdin.message.port,
        stdout=stdout.message.port,
        configuration=runtime_spec(rootfs, "cat"),
    )
    await agent.context.CreateProcess(create, timeout=CALL_SECONDS)
    return stdin, stdout


async def _send(writer: asyncio.StreamWriter, data: bytes) -> None:
    """Write until the kernel has all of it."""
    writer.transport.set_write_buffer_limits(0)
    writer.write(data)
    await writer.drain()


def _close_of(container_id: str) -> context.CloseProcessStdinRequest:
    return context.CloseProcessStdinRequest(id=container_id, containerID=container_id)
