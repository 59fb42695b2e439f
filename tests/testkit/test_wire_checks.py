"""The check of SandboxContext finds nothing wrong with vminitd, and finds what is wrong with others."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import grpc
import grpc.aio
import msgspec
import pytest
from google.protobuf.message import Message

from firkin.testkit.wire.checks import CHECKS, Finding, findings
from firkin.testkit.wire.process_checks import PROCESS_CHECKS
from firkin.wire import sandbox_context_pb2 as wire
from tests.integration.vminitd.agent_process import make_rootfs, running_agent

pytestmark = pytest.mark.real_time


async def _judged(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "firkin.testkit.wire", *arguments]
    return await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=300)


async def test_vminitd_does_everything_right(tmp_path: Path) -> None:
    rootfs = make_rootfs(tmp_path / "rootfs")
    async with running_agent() as agent:
        address = f"unix:{agent.sockets}/guest-1024.sock"
        done = await _judged(address, "--scratch", str(tmp_path / "scratch"), "--rootfs", str(rootfs), "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    found = msgspec.json.decode(done.stdout, type=list[Finding])
    assert {finding.check: finding.problem for finding in found} == dict.fromkeys([*CHECKS, *PROCESS_CHECKS], "")
    assert not (tmp_path / "scratch").exists()


def _forgetful() -> grpc.GenericRpcHandler:
    """An agent that answers some calls with nothing, and knows no others."""

    def answering(message: Message) -> grpc.RpcMethodHandler[bytes, bytes]:
        async def answer(_: bytes, __: object) -> bytes:
            return message.SerializeToString()

        return grpc.unary_unary_rpc_method_handler(answer)

    methods = {"Getenv": wire.GetenvResponse(value=""), "Setenv": wire.SetenvResponse(), "Stat": wire.StatResponse()}
    service = "com.apple.containerization.sandbox.v3.SandboxContext"
    return grpc.method_handlers_generic_handler(service, {name: answering(one) for name, one in methods.items()})


async def test_an_agent_that_forgets_and_lacks_is_found_out(tmp_path: Path) -> None:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((_forgetful(),))
    server.add_insecure_port(f"unix:{tmp_path}/agent.sock")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"unix:{tmp_path}/agent.sock") as channel:
            found = {finding.check: finding.problem for finding in await findings(channel, "/nowhere")}
        done = await _judged(f"unix:{tmp_path}/agent.sock")
    finally:
        await server.stop(None)
    assert found["the environment keeps what is set"] == "a variable that was set to 'a b' is ''"
    assert found["what is not there is told"] == "Stat of nothing succeeded"
    assert str(found["everything can be synced"]).startswith("UNIMPLEMENTED")
    assert found["a container runs and its exit code is told"] is None
    assert done.returncode == 1
    assert "FAILED the environment keeps what is set" in done.stdout


async def test_an_agent_that_hangs_is_found_out_in_time(tmp_path: Path) -> None:
    reached = asyncio.Event()

    async def hang(_: bytes, __: object) -> bytes:
        reached.set()
        await asyncio.Event().wait()
        return b""

    service = "com.apple.containerization.sandbox.v3.SandboxContext"
    handler = grpc.method_handlers_generic_handler(service, {"Sync": grpc.unary_unary_rpc_method_handler(hang)})
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((handler,))
    server.add_insecure_port(f"unix:{tmp_path}/agent.sock")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"unix:{tmp_path}/agent.sock") as channel:
            found = {one.check: one.problem for one in await findings(channel, "/nowhere", check_seconds=5.0)}
    finally:
        await server.stop(None)
    assert reached.is_set()
    assert found["everything can be synced"] == "no answer within 5 s"
