"""Asking ports from inside the pod's network, over memory and both services of vminitd."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from firkin.adapters.memory import MemoryProcess
from firkin.domain.errors import Outcome, UnsupportedFeature
from firkin.domain.probes import HttpGetAction, PortAction, TcpSocketAction
from firkin.ports.agent_network import PORT_CHECKS

from .roads import AGENT_V1, MEMORY, SANDBOX_CONTEXT, OpenAgent, Road
from .scripted_agent import scripted

pytestmark = pytest.mark.real_time


async def _httpd(process: MemoryProcess) -> int:
    process.ports[int(process.args[3])] = lambda path: 200 if path == "/passwd" else 404
    await asyncio.sleep(3600)
    return 0


@pytest.fixture(params=[MEMORY, AGENT_V1, SANDBOX_CONTEXT])
def road(request: pytest.FixtureRequest, tmp_path: Path) -> Road:
    return Road(str(request.param), tmp_path, {"httpd": _httpd})


async def until_well(it: OpenAgent, action: PortAction) -> None:
    async with asyncio.timeout(30):
        while (failure := await it.agent.check_port(action, 5)) is not None:
            assert "refused" in failure
            await asyncio.sleep(0.02)


async def test_a_port_answers_as_long_as_somebody_listens(road: Road) -> None:
    async with road.opened() as it:
        assert PORT_CHECKS in (await it.agent.info()).features
        assert "Connection refused" in str(await it.agent.check_port(TcpSocketAction(8080), 5))
        assert "Connection refused" in str(await it.agent.check_port(HttpGetAction(8080), 5))
        await it.started("c", "/bin/httpd", "-f", "-p", "8080", "-h", "/etc")
        await until_well(it, TcpSocketAction(8080))
        assert await it.agent.check_port(HttpGetAction(8080, "/passwd"), 5) is None
        assert await it.agent.check_port(HttpGetAction(8080, "/nothing"), 5) == "was answered with HTTP status 404"
        await it.removed("c")
        assert "Connection refused" in str(await it.agent.check_port(TcpSocketAction(8080), 5))


@pytest.mark.parametrize("name", [AGENT_V1, SANDBOX_CONTEXT])
async def test_the_hosts_own_ports_are_not_asked(name: str, tmp_path: Path) -> None:
    async with Road(name, tmp_path).opened() as it:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            assert "Connection refused" in str(await it.agent.check_port(TcpSocketAction(port), 5))


async def test_an_agent_that_is_not_firkins_dials_nothing_and_is_not_asked(tmp_path: Path) -> None:
    async with scripted(tmp_path, knows_agent_v1=False) as it:
        assert (await it.agent.info()).features == frozenset()
        with pytest.raises(UnsupportedFeature, match="reach unix sockets only") as refused:
            await it.agent.check_port(TcpSocketAction(8080), 5)
        assert refused.value.outcome is Outcome.DID_NOT
        assert it.script.called == []


async def test_over_the_first_service_an_answer_that_never_comes_is_a_failure_in_time(tmp_path: Path) -> None:
    async with Road(SANDBOX_CONTEXT, tmp_path).opened() as it:
        await it.started("c", "/bin/sh", "-c", "nc -l -p 8080 -e sleep 3600; sleep 3600")
        await until_answer(it, HttpGetAction(8080), "took longer than 0.5 s", 0.5)
        failure = await it.agent.check_port(HttpGetAction(8081), 5)
        assert failure == "got no answer from 127.0.0.1 port 8081: Connection refused"


async def until_answer(it: OpenAgent, action: PortAction, wanted: str, timeout_seconds: float) -> None:
    async with asyncio.timeout(30):
        while (failure := await it.agent.check_port(action, timeout_seconds)) != wanted:
            assert "refused" in str(failure)
            await asyncio.sleep(0.02)
