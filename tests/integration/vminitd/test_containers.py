"""Containers: how they start, how they fail to, how they end."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import shutil
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from grpc.aio import AioRpcError, UnaryUnaryCall

from firkin.testkit.host_leftovers import processes_naming
from firkin.wire import agent_pb2 as wire

from .agent_process import (
    CALL_SECONDS,
    START_SECONDS,
    RunningAgent,
    container_cgroups,
    detail_of,
    running_agent,
    runtime_spec,
)

pytestmark = pytest.mark.real_time

StartingCall = UnaryUnaryCall[wire.StartProcessRequest, wire.StartProcessResponse]


async def test_output_and_exit_code_come_through(rootfs: Path) -> None:
    async with running_agent() as agent:
        spec = runtime_spec(rootfs, "sh", "-c", "echo out; echo err >&2; exit 7")
        end, out, err = await agent.output("one", spec)
    assert (end.code, end.reason, end.HasField("signal")) == (7, wire.EXIT_REASON_EXITED, False)
    assert (out, err, end.stdout_bytes, end.stderr_bytes) == (b"out\n", b"err\n", 4, 4)


async def test_a_signal_that_ends_a_process_is_told(rootfs: Path) -> None:
    async with running_agent() as agent:
        await agent.start("one", runtime_spec(rootfs, "sleep", "60"))
        await agent.kill("one", signal.SIGKILL)
        end = await agent.wait("one")
        await agent.kill("one", signal.SIGTERM)
    assert (end.code, end.signal, end.reason) == (137, 9, wire.EXIT_REASON_SIGNALED)


async def test_a_process_over_its_memory_limit_was_killed_for_it(rootfs: Path) -> None:
    async with running_agent() as agent:
        spec = runtime_spec(rootfs, "dd", "if=/dev/zero", "of=/dev/x", "bs=64M", "count=9", memory_bytes=8 << 20)
        end, _, _ = await agent.output("one", spec)
    assert (end.code, end.reason) == (137, wire.EXIT_REASON_OOM_KILLED)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("/nope", "command-not-found"),
        ("nope", "command-not-found"),
        ("script", "command-not-found"),
        ("plain", "command-not-executable"),
        ("/bin/plain", "command-not-executable"),
        ("/bin", "command-not-executable"),
        ("garbage", "command-not-executable"),
    ],
)
async def test_a_command_that_cannot_run_is_told_apart_and_leaves_its_id_usable(
    rootfs: Path, command: str, code: str
) -> None:
    async with running_agent() as agent:
        stdout = await agent.listen()
        with pytest.raises(AioRpcError) as failure:
            await agent.start("one", runtime_spec(rootfs, command), stdout=stdout)
        assert await stdout.read() == b""
        end, _, _ = await agent.output("one", runtime_spec(rootfs, "true"))
    detail = detail_of(failure.value)
    assert (detail.code, detail.values["command"], detail.operation) == (code, command, "start container")
    assert end.code == 0


async def test_users_are_those_of_the_rootfs(rootfs: Path) -> None:
    async with running_agent() as agent:
        spec = runtime_spec(rootfs, "sh", "-c", "id -u; id -g; id -G; echo $HOME", username="ann")
        _, out, _ = await agent.output("one", spec)
        with pytest.raises(AioRpcError) as failure:
            await agent.start("two", runtime_spec(rootfs, "true", username="nobody-here"))
    assert out == b"1000\n1001\n1001 50\n/home/ann\n"
    assert (detail_of(failure.value).code, detail_of(failure.value).values["user"]) == ("user-unknown", "nobody-here")


async def test_many_wait_for_one_process_and_late_waiters_too(rootfs: Path) -> None:
    async with running_agent() as agent:
        await agent.start("one", runtime_spec(rootfs, "sh", "-c", "read x; exit 3", username=""))
        waits = [agent.wait("one") for _ in range(20)]
        ends = await asyncio.gather(*waits)
        ends.append(await agent.wait("one"))
    assert {end.code for end in ends} == {3}


async def test_sixty_four_containers_start_at_once(rootfs: Path) -> None:
    async with running_agent() as agent:
        names = [f"c{number}" for number in range(64)]
        results = await asyncio.gather(*(agent.output(name, runtime_spec(rootfs, "echo", name)) for name in names))
    assert [(end.code, out) for end, out, _ in results] == [(0, f"{name}\n".encode()) for name in names]


async def test_an_id_is_taken_once(rootfs: Path) -> None:
    async with running_agent() as agent:
        spec = runtime_spec(rootfs, "sleep", "60")
        results = await asyncio.gather(*(agent.start("one", spec) for _ in range(4)), return_exceptions=True)
        failures = [result for result in results if isinstance(result, AioRpcError)]
        assert await agent.remove("one") == []
    assert [failure.code() for failure in failures] == [grpc.StatusCode.ALREADY_EXISTS] * 3
    assert {detail_of(failure).code for failure in failures} == {"container-exists"}


async def test_of_execs_of_one_id_at_once_one_starts_and_the_others_are_told_that_it_is_in_use(rootfs: Path) -> None:
    async with running_agent() as agent:
        await agent.start("one", runtime_spec(rootfs, "sleep", "3600"))
        spec = runtime_spec(rootfs, "sleep", "3600")
        starting = [agent.execute("one", "job", spec, stdout=await agent.listen()) for _ in range(4)]
        outcomes = await asyncio.gather(*starting, return_exceptions=True)
        failures = [outcome for outcome in outcomes if isinstance(outcome, AioRpcError)]
        assert [failure.code() for failure in failures] == [grpc.StatusCode.ALREADY_EXISTS] * 3
        assert {detail_of(failure).errno for failure in failures} == {errno.EEXIST}
        await agent.kill("one", signal.SIGKILL, "job")
        assert (await agent.wait("one", "job")).signal == signal.SIGKILL


async def test_removing_a_running_container_kills_it_and_twice_is_fine(rootfs: Path) -> None:
    async with running_agent() as agent:
        await agent.start("one", runtime_spec(rootfs, "sleep", "60"))
        waiting = asyncio.ensure_future(agent.wait("one"))
        removed = await asyncio.gather(*(agent.remove("one") for _ in range(3)))
        end = await waiting
        with pytest.raises(AioRpcError) as failure:
            await agent.wait("one")
    assert removed == [[], [], []]
    assert end.signal == signal.SIGKILL
    assert detail_of(failure.value).code == "container-not-found"


async def test_a_cancelled_start_leaves_nothing(rootfs: Path) -> None:
    async with running_agent() as agent:
        spec = runtime_spec(rootfs, "sleep", "60")
        for delay_seconds in (0.0, 0.002, 0.004, 0.008):
            start = asyncio.ensure_future(agent.start("one", spec))
            await asyncio.wait({start}, timeout=delay_seconds)
            start.cancel()
            await asyncio.wait({start})
            if start.cancelled():
                # The agent may still be undoing: removing waits for that.
                assert await agent.remove("one") == []
            else:
                assert await agent.remove("one") == []
        end, _, _ = await agent.output("one", runtime_spec(rootfs, "true"))
    assert end.code == 0


class SlowRuntime:
    """An OCI runtime that does what crun does, but ends an exec only when it is told to go on."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        gate, crun = directory / "gate", shutil.which("crun")
        os.mkfifo(gate)
        self._gate = os.open(gate, os.O_RDWR)
        self.path = directory / "crun"
        gated = f'{crun} "$@"; status=$?; read _ < {gate}; exit $status'
        self.path.write_text(f'#!/bin/sh\ncase " $* " in *" exec "*) {gated};; esac\nexec {crun} "$@"\n')
        self.path.chmod(0o755)

    def go_on(self) -> None:
        os.write(self._gate, b"\n")

    def close(self) -> None:
        os.close(self._gate)


@contextlib.asynccontextmanager
async def exec_that_is_being_started(
    rootfs: Path, directory: Path
) -> AsyncIterator[tuple[RunningAgent, SlowRuntime, StartingCall]]:
    """An exec of a container whose command runs, while its start goes on."""
    spec = runtime_spec(rootfs, "sleep", "3600")
    async with running_agent() as agent:
        with contextlib.closing(SlowRuntime(directory / "slow")) as runtime:
            await agent.v1.StartContainer(
                wire.StartContainerRequest(container_id="one", runtime_spec=spec, oci_runtime_path=str(runtime.path)),
                timeout=CALL_SECONDS,
            )
            request = wire.StartProcessRequest(container_id="one", process_id="job", runtime_spec=spec)
            starting = agent.v1.StartProcess(request, timeout=CALL_SECONDS)
            await until_there_are(agent, 2)
            yield agent, runtime, starting
            assert await agent.remove("one") == []


async def until_there_are(agent: RunningAgent, count: int) -> None:
    """Wait until so many processes of the container run its command."""
    async with asyncio.timeout(CALL_SECONDS):
        running = -1
        while running != count:
            answer = await agent.v1.ListProcesses(wire.ListProcessesRequest(container_id="one"))
            running = sum("3600" in one.command for one in answer.processes)


async def removed_process(agent: RunningAgent) -> None:
    request = wire.RemoveProcessRequest(container_id="one", process_id="job")
    await agent.v1.RemoveProcess(request, timeout=CALL_SECONDS)


async def test_an_exec_whose_start_is_called_off_does_not_run_on(rootfs: Path, tmp_path: Path) -> None:
    async with exec_that_is_being_started(rootfs, tmp_path) as (agent, runtime, starting):
        starting.cancel()
        await agent.v1.GetInfo(wire.GetInfoRequest(), timeout=CALL_SECONDS)
        runtime.go_on()
        await removed_process(agent)
        await until_there_are(agent, 1)


async def test_an_exec_that_is_removed_while_it_is_being_started_does_not_run_on(rootfs: Path, tmp_path: Path) -> None:
    async with exec_that_is_being_started(rootfs, tmp_path) as (agent, runtime, starting):
        removing = asyncio.ensure_future(removed_process(agent))
        await agent.v1.GetInfo(wire.GetInfoRequest(), timeout=CALL_SECONDS)
        runtime.go_on()
        await removing
        assert (await starting).pid
        await until_there_are(agent, 1)


@pytest.mark.parametrize(("container_id", "code"), [("..", "invalid-id"), ("a/b", "invalid-id"), ("", "invalid-id")])
async def test_ids_are_checked_before_any_path_is_formed(rootfs: Path, container_id: str, code: str) -> None:
    async with running_agent() as agent:
        with pytest.raises(AioRpcError) as failure:
            await agent.start(container_id, runtime_spec(rootfs, "true"))
    assert (failure.value.code(), detail_of(failure.value).code) == (grpc.StatusCode.INVALID_ARGUMENT, code)


@pytest.mark.parametrize(
    "spec", [b"", b"{", b"[]", b'{"process":{}}', b'{"process":{"args":["x"]},"root":{"path":"/"}}']
)
async def test_a_document_that_is_no_spec_is_refused_and_the_agent_lives_on(rootfs: Path, spec: bytes) -> None:
    async with running_agent() as agent:
        with pytest.raises(AioRpcError) as failure:
            await agent.start("one", spec)
        end, _, _ = await agent.output("one", runtime_spec(rootfs, "true"))
    assert failure.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert end.code == 0


async def test_a_missing_runtime_is_named() -> None:
    async with running_agent("--runtime", "no-such-runtime") as agent:
        info = await agent.v1.GetInfo(wire.GetInfoRequest())
        with pytest.raises(AioRpcError) as failure:
            await agent.start("one", runtime_spec(Path("/"), "/bin/sh"))
    assert info.runtime == ""
    assert (detail_of(failure.value).code, detail_of(failure.value).values["tool"]) == (
        "missing-tool",
        "no-such-runtime",
    )


def _runtime(path: Path, at_run: str) -> str:
    """A program that is crun but for what it does when it is to run a container."""
    path.write_text(f'#!/bin/sh\ncase "$*" in *" run "*) {at_run} ;; esac\nexec crun "$@"\n')
    path.chmod(0o755)
    return str(path)


async def test_what_a_runtime_that_failed_has_left_running_is_gone_when_that_is_told(
    rootfs: Path, tmp_path: Path
) -> None:
    begun = tmp_path / "begun"
    helper = f"sh -c 'echo > $0; exec tail -f $0' {begun} & until [ -e {begun} ]; do :; done; exit 1"
    async with running_agent("--runtime", _runtime(tmp_path / "runtime", helper)) as agent:
        with pytest.raises(AioRpcError) as failure:
            await agent.start("one", runtime_spec(rootfs, "true"))
        assert detail_of(failure.value).code == "runtime-failed"
        assert processes_naming(str(begun)) == []


async def test_a_container_that_its_runtime_started_and_forgot_is_killed(rootfs: Path, tmp_path: Path) -> None:
    # As one that is killed at the wrong moment.
    forgetful = 'crun "$@"; rm -r "$2"; exit 1'
    async with running_agent("--runtime", _runtime(tmp_path / "runtime", forgetful)) as agent:
        with pytest.raises(AioRpcError) as failure:
            await agent.start("one", runtime_spec(rootfs, "sleep", "86401"))
        assert detail_of(failure.value).code == "runtime-failed"
        wait_until_all_are_gone("sleep\x0086401")


def wait_until_all_are_gone(line: str) -> None:
    """Wait until no process has this in its command line: a process that was killed is there a moment longer."""
    deadline = time.monotonic() + START_SECONDS
    while left := processes_naming(line):
        assert time.monotonic() < deadline, left
        os.sched_yield()


async def test_the_end_of_the_lifeline_ends_the_agent_and_leaves_nothing(rootfs: Path) -> None:
    before = container_cgroups()
    async with running_agent() as agent:
        await agent.start("left-behind", runtime_spec(rootfs, "sleep", "6000"))
        agent.cut_lifeline()
        code = await asyncio.to_thread(agent.process.wait, START_SECONDS)
    assert code == 0
    assert container_cgroups() == before
