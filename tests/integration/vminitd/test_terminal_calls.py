"""Terminals as a host of SandboxContext, or of firkin.agent.v1, asks for them."""

from __future__ import annotations

import json
from pathlib import Path

import grpc.aio
import pytest
from grpc import StatusCode

from firkin.wire import agent_pb2 as wire
from firkin.wire import sandbox_context_pb2 as context

from .agent_process import CALL_SECONDS, HostStream, RunningAgent, detail_of, running_agent, runtime_spec

pytestmark = pytest.mark.real_time


def terminal_spec(rootfs: Path, *args: str) -> bytes:
    """A runtime spec that asks for a terminal of a size that nobody told."""
    spec = json.loads(runtime_spec(rootfs, *args))
    spec["process"]["terminal"] = True
    devpts = {"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["newinstance", "gid=5"]}
    spec["mounts"].append(devpts)
    return json.dumps(spec).encode()


async def created(agent: RunningAgent, spec: bytes, process_id: str, stdout: HostStream | None = None) -> None:
    """Create a process by the first service."""
    port = None if stdout is None else stdout.message.port
    request = context.CreateProcessRequest(id=process_id, containerID="c", configuration=spec, stdout=port)
    await agent.context.CreateProcess(request, timeout=CALL_SECONDS)


async def resized(agent: RunningAgent, process_id: str, columns: int, rows: int) -> None:
    """Resize by the first service."""
    request = context.ResizeProcessRequest(id=process_id, containerID="c", rows=rows, columns=columns)
    await agent.context.ResizeProcess(request, timeout=CALL_SECONDS)


async def started(agent: RunningAgent, process_id: str) -> None:
    """Start by the first service."""
    request = context.StartProcessRequest(id=process_id, containerID="c")
    await agent.context.StartProcess(request, timeout=CALL_SECONDS)


async def test_a_size_that_comes_before_the_start_is_that_of_the_start(rootfs: Path) -> None:
    async with running_agent() as agent:
        stdout = await agent.listen(token=False)
        await created(agent, terminal_spec(rootfs, "sh", "-c", "stty size; sleep 3600"), "c", stdout=stdout)
        await resized(agent, "c", 99, 33)
        await started(agent, "c")
        reader, _ = await stdout.ends()
        assert await reader.readline() == b"33 99\r\n"
        exec_stdout = await agent.listen(token=False)
        await created(
            agent,
            terminal_spec(
                rootfs, "sh", "-c", 'until size=$(stty size 2>/dev/null) && [ "$size" ]; do :; done; echo $size'
            ),
            "e",
            stdout=exec_stdout,
        )
        await resized(agent, "e", 77, 22)
        await started(agent, "e")
        assert await exec_stdout.read() == b"22 77\r\n"
        end = await agent.wait("c", "e")
        assert (end.code, end.stdout_bytes, end.stderr_bytes) == (0, 7, 0)
        await resized(agent, "e", 1, 1)


async def test_what_cannot_be_resized_is_told_with_its_reason(rootfs: Path) -> None:
    async with running_agent() as agent:
        await created(agent, runtime_spec(rootfs, "sleep", "3600"), "c")
        for start_first in (False, True):
            if start_first:
                await started(agent, "c")
            with pytest.raises(grpc.aio.AioRpcError) as plain:
                await resized(agent, "c", 80, 24)
            assert (plain.value.code(), detail_of(plain.value).code) == (
                StatusCode.FAILED_PRECONDITION,
                "no-terminal",
            )
        with pytest.raises(grpc.aio.AioRpcError) as large:
            await resized(agent, "c", 65536, 24)
        assert large.value.code() is StatusCode.INVALID_ARGUMENT
        told = dict(detail_of(large.value).values)
        assert told == {"columns": "65536", "rows": "24", "container_id": "c", "process_id": "c"}
        request = wire.ResizeProcessRequest(container_id="c", process_id="nobody", columns=80, rows=24)
        with pytest.raises(grpc.aio.AioRpcError) as unknown:
            await agent.v1.ResizeProcess(request, timeout=CALL_SECONDS)
        assert unknown.value.code() is StatusCode.NOT_FOUND


async def test_a_terminal_has_no_stderr_stream_and_a_refused_container_is_not_there(rootfs: Path) -> None:
    async with running_agent() as agent:
        spec = terminal_spec(rootfs, "sh", "-c", "echo hello >&2")
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await agent.start("c", spec, stdout=await agent.listen(), stderr=await agent.listen())
        assert raised.value.code() is StatusCode.INVALID_ARGUMENT
        stdout = await agent.listen()
        await agent.start("c", spec, stdout=stdout)
        assert await stdout.read() == b"hello\r\n"
        assert await agent.remove("c") == []


async def test_a_runtime_that_hands_over_no_terminal_leaves_no_process(rootfs: Path, tmp_path: Path) -> None:
    forgetful = tmp_path / "forgetful"
    forgetful.write_text(
        "#!/bin/sh\n"
        'for word; do [ "$before" = --pid-file ] && pid_file=$word; before=$word; done\n'
        'case "$*" in *delete*|--version) exit 0;; esac\n'
        'sleep 3600 & printf %s "$!" > "$pid_file"\n'
    )
    forgetful.chmod(0o755)
    async with running_agent("--runtime", str(forgetful)) as agent:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await agent.start("c", terminal_spec(rootfs, "true"))
        assert detail_of(raised.value).code == "runtime-failed"
        assert "handed over no terminal" in detail_of(raised.value).reason
