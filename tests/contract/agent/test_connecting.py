"""Getting hold of an agent that boots, that never does, or that is of an older kind."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from grpc import StatusCode

from firkin.adapters.agent_grpc import GrpcAgentConnector
from firkin.adapters.agent_grpc.firkin_agent import FirkinAgent
from firkin.adapters.agent_grpc.sandbox_context import SandboxContextAgent
from firkin.domain.errors import BootFailed
from firkin.domain.reports import AgentInfo
from firkin.wire import agent_pb2 as wire
from tests.descriptors import all_closed_since, open_descriptors

from .scripted_agent import FakeSandbox, PausedSandbox, ScriptedAgent

pytestmark = pytest.mark.real_time


async def test_an_agent_that_answers_get_info_is_spoken_to_in_agent_v1(tmp_path: Path) -> None:
    script = ScriptedAgent(tmp_path)
    script.answer(
        "GetInfo", wire.GetInfoResponse(version="9", features=["a", "b"], runtime="crun 1.8.1", boot_usec=1500)
    )
    async with script.listening(), GrpcAgentConnector().connected(FakeSandbox(tmp_path), 60) as agent:
        assert isinstance(agent, FirkinAgent)
        info = await agent.info()
    assert info == AgentInfo("9", frozenset({"a", "b"}), "crun 1.8.1", 0.0015)
    assert script.called == ["GetInfo"]


async def test_an_agent_that_does_not_know_get_info_is_spoken_to_in_sandbox_context(tmp_path: Path) -> None:
    script = ScriptedAgent(tmp_path, knows_agent_v1=False)
    async with script.listening(), GrpcAgentConnector().connected(FakeSandbox(tmp_path), 60) as agent:
        assert isinstance(agent, SandboxContextAgent)


async def test_a_caller_may_insist_on_sandbox_context(tmp_path: Path) -> None:
    connector = GrpcAgentConnector(prefer_agent_v1=False)
    async with ScriptedAgent(tmp_path).listening(), connector.connected(FakeSandbox(tmp_path), 60) as agent:
        assert isinstance(agent, SandboxContextAgent)


async def test_an_agent_that_listens_later_is_noticed_within_milliseconds(tmp_path: Path) -> None:
    # Any one may meet a moment in which the machine does something else; who waits too long between looks always does.
    took = [await _seconds_until_noticed(tmp_path)]
    while min(took) >= 0.1 and len(took) < 20:
        took.append(await _seconds_until_noticed(tmp_path))
    assert min(took) < 0.1, took


async def _seconds_until_noticed(directory: Path) -> float:
    async def answered_at() -> float:
        async with GrpcAgentConnector().connected(FakeSandbox(directory), 60):
            return time.perf_counter()

    async with asyncio.TaskGroup() as group:
        answered = group.create_task(answered_at())
        await asyncio.sleep(0.2)
        async with ScriptedAgent(directory).listening():
            listening_at = time.perf_counter()
            await answered
    return answered.result() - listening_at


async def test_a_socket_to_which_nobody_listens_yet_is_tried_again(tmp_path: Path) -> None:
    stale = tmp_path / "guest-1024.sock"
    with _bound(stale):
        async with asyncio.TaskGroup() as group:
            connecting = group.create_task(_connect_once(tmp_path))
            await asyncio.sleep(0.1)
            stale.unlink()
            async with ScriptedAgent(tmp_path).listening():
                await connecting


async def test_a_sandbox_that_ends_before_its_agent_answers_failed_to_boot(tmp_path: Path) -> None:
    sandbox = FakeSandbox(tmp_path)
    async with asyncio.TaskGroup() as group:
        connecting = group.create_task(_failure_of_connecting(sandbox, 60))
        await asyncio.sleep(0.05)
        sandbox.die("exit code 1", "ImportError: no module", "boot", 1)
    error = connecting.result()
    assert "exit code 1" in error.reason
    assert (error.console_tail, error.phase, error.exit_status) == ("ImportError: no module", "boot", 1)


async def test_a_sandbox_that_ends_between_listening_and_the_first_answer_tells_its_phase(tmp_path: Path) -> None:
    sandbox = FakeSandbox(tmp_path)
    sandbox.die("killed", "", "running", -9)
    error = await _failure_of_connecting(sandbox, 60)
    assert (error.step, error.phase, error.exit_status) == ("connect to vminitd", "running", -9)


async def test_an_agent_that_does_not_answer_in_time_failed_to_boot(tmp_path: Path) -> None:
    async with asyncio.timeout(60):
        error = await _failure_of_connecting(FakeSandbox(tmp_path), 0.2)
    assert "0.2 s" in error.reason
    assert (error.phase, error.exit_status) == ("boot", None)


async def test_an_agent_that_hangs_failed_to_boot(tmp_path: Path) -> None:
    script = ScriptedAgent(tmp_path)
    script.hang("GetInfo")
    async with script.listening():
        assert "did not answer" in (await _failure_of_connecting(FakeSandbox(tmp_path), 0.3)).reason


async def test_an_agent_that_fails_get_info_failed_to_boot_with_its_reason(tmp_path: Path) -> None:
    script = ScriptedAgent(tmp_path)
    script.fail("GetInfo", StatusCode.INTERNAL, "crun is not there")
    async with script.listening():
        assert "crun is not there" in (await _failure_of_connecting(FakeSandbox(tmp_path), 60)).reason


async def test_a_socket_path_longer_than_an_address_is_reached(tmp_path: Path) -> None:
    long = tmp_path / ("d" * 100)
    long.mkdir()
    (short := tmp_path / "s").symlink_to(long)
    async with ScriptedAgent(short).listening(), GrpcAgentConnector().connected(FakeSandbox(long), 60) as agent:
        assert (await agent.info()).version == "scripted"


async def test_connecting_and_leaving_leaves_no_descriptor(tmp_path: Path) -> None:
    async with ScriptedAgent(tmp_path).listening():
        await _connect_once(tmp_path)
        before = open_descriptors()
        for _ in range(5):
            await _connect_once(tmp_path)
        await all_closed_since(before)


def test_importing_firkin_and_the_adapter_loads_no_grpc() -> None:
    program = "import sys, firkin, firkin.adapters.agent_grpc; sys.exit('grpc' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


async def _connect_once(directory: Path) -> None:
    async with GrpcAgentConnector().connected(FakeSandbox(directory), 60):
        pass


async def test_a_boot_that_never_comes_to_its_agent_is_told_with_how_the_sandbox_is(tmp_path: Path) -> None:
    failed = await _failure_of_connecting(PausedSandbox(tmp_path), 0.1)
    assert failed.reason.endswith("; its machine is paused in the phase 'running'")
    assert (failed.console_tail, failed.phase, failed.exit_status) == ("the last line", "running", None)


async def _failure_of_connecting(sandbox: FakeSandbox, timeout_seconds: float) -> BootFailed:
    with pytest.raises(BootFailed) as raised:
        async with GrpcAgentConnector().connected(sandbox, timeout_seconds):
            pass
    return raised.value


def _bound(path: Path) -> socket.socket:
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    bound.bind(str(path))
    return bound
