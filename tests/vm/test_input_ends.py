"""The end of input of a process in a machine, where bytes and calls go by streams of their own."""

from __future__ import annotations

from pathlib import Path

import grpc.aio
import pytest

from firkin.adapters.vmm_qemu.sandbox import AGENT_PORT
from firkin.domain.process import ExitStatus
from firkin.testkit.launches import ALL_PIPED
from firkin.testkit.opened_agent import everything, init_of, same_bytes
from firkin.wire.sandbox_context_pb2 import CloseProcessStdinRequest
from firkin.wire.sandbox_context_pb2_grpc import SandboxContextStub
from tests.contract.agent.roads import SANDBOX_CONTEXT
from tests.integration.vminitd.full_streams import filled

from .machine_agents import MachineAgentPlace
from .shared_machine import SharedMachine

pytestmark = pytest.mark.real_time

_CALL_SECONDS = 60.0


async def test_a_close_of_the_input_comes_behind_its_bytes_also_when_they_are_still_on_the_host(
    tmp_path: Path, shared_machine: SharedMachine
) -> None:
    place = MachineAgentPlace(SANDBOX_CONTEXT, shared_machine, tmp_path, has_empty_store=False)
    async with place.opened() as it:
        streams = (await it.started("c", "/bin/cat", stdio=ALL_PIPED)).streams
        assert streams.stdin is not None
        assert streams.stdout is not None
        sent, last = await filled(streams.stdin.write)
        async with grpc.aio.insecure_channel(f"unix:{it.sandbox.socket_directory}/guest-{AGENT_PORT}.sock") as channel:
            close = CloseProcessStdinRequest(id="c", containerID="c")
            for _ in range(2):
                await SandboxContextStub(channel).CloseProcessStdin(close, timeout=_CALL_SECONDS)
        received = await everything(streams.stdout)
        assert await it.agent.wait_process(init_of("c")) == ExitStatus(0)
        await it.removed("c")
    assert len(received) >= len(sent)
    assert same_bytes(received, (sent + last)[: len(received)])
