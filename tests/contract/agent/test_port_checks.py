"""Asking ports from inside the pod's network, over memory and both services of vminitd."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from firkin.adapters.memory import MemoryProcess
from firkin.domain.errors import UnsupportedFeature
from firkin.domain.probes import HttpGetAction, PortAction, TcpSocketAction
from firkin.ports.agent_network import PORT_CHECKS

from .roads import AGENT_V1, MEMORY, SANDBOX_CONTEXT, OpenAgent, Road

pytestmark = pytest.mark.real_time


async def _httpd(process: MemoryProcess) -> int:
    process.ports[int(process.args[3])] = lambda path: 200 if path == "/passwd" else 404
    await asyncio.sleep(3600)
    return 0


@pytest.fixture(params=[MEMORY, AGENT_V1])
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


async def test_the_hosts_own_ports_are_not_asked(tmp_path: Path) -> None:
    async with Road(AGENT_V1, tmp_path).opened() as it:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            assert "Connection refused" in str(await it.agent.check_port(TcpSocketAction(port), 5))


async def test_an_agent_of_the_first_service_says_that_it_dials_nothing(tmp_path: Path) -> None:
    async with Road(SANDBOX_CONTEXT, tmp_path).opened() as it:
        with pytest.raises(UnsupportedFeature, match="SandboxContext dials none"):
            await it.agent.check_port(TcpSocketAction(8080), 5)
