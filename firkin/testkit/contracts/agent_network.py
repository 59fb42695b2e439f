"""The pod's network, from inside it and from the host's ports."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import pytest

from firkin.domain.errors import FirkinError, HostPortUnavailable, Outcome
from firkin.domain.port_forwards import PortForward
from firkin.domain.probes import HttpGetAction, PortAction, TcpSocketAction
from firkin.ports.agent_network import PORT_CHECKS, PORT_FORWARDS

from ..agent_place import AgentPlace
from ..opened_agent import OpenAgent

PORT = 8080
_SERVER = ("/bin/httpd", "-f", "-p", str(PORT), "-h", "/etc")
_UP_SECONDS = 60.0
_CHECK_SECONDS = 30.0


async def test_a_port_is_asked_in_the_pods_own_network(agent_place: AgentPlace) -> None:
    async with agent_place.opened() as it:
        with it.claiming(PORT_CHECKS):
            assert "refused" in str(await it.agent.check_port(TcpSocketAction(PORT), _CHECK_SECONDS))
            await it.started("c", *_SERVER)
            await _until_well(it, TcpSocketAction(PORT))
            assert await it.agent.check_port(HttpGetAction(PORT, "/passwd"), _CHECK_SECONDS) is None
            failure = await it.agent.check_port(HttpGetAction(PORT, "/nothing"), _CHECK_SECONDS)
            assert failure == "was answered with HTTP status 404"
            await it.removed("c")
            assert "refused" in str(await it.agent.check_port(TcpSocketAction(PORT), _CHECK_SECONDS))


async def test_the_hosts_own_ports_are_not_asked(agent_place: AgentPlace) -> None:
    async with agent_place.opened() as it:
        with socket.create_server(("127.0.0.1", 0)) as server, it.claiming(PORT_CHECKS):
            own = TcpSocketAction(server.getsockname()[1])
            assert "refused" in str(await it.agent.check_port(own, _CHECK_SECONDS))


@pytest.mark.real_sockets
async def test_a_port_of_the_host_leads_into_the_pod_until_it_is_left(agent_place: AgentPlace) -> None:
    async with agent_place.opened() as it:
        with it.claiming(PORT_FORWARDS):
            async with it.agent.forwarded(PortForward(PORT)) as forward:
                assert (forward.container_port, forward.host_address) == (PORT, "127.0.0.1")
                assert forward.host_port > 0
                await it.started("c", *_SERVER)
                status, body = await _got(forward, "/passwd")
                assert status.split()[1] == b"200"
                assert body
            with pytest.raises(ConnectionError):
                await asyncio.open_connection(forward.host_address, forward.host_port)
            # The same port of the host can be had again.
            async with it.agent.forwarded(forward) as again:
                assert again == forward
                assert (await _got(again, "/nothing"))[0].split()[1] == b"404"


@pytest.mark.real_sockets
async def test_a_connection_that_nobody_in_the_pod_takes_is_closed(agent_place: AgentPlace) -> None:
    async with agent_place.opened() as it:
        with it.claiming(PORT_FORWARDS):
            async with it.agent.forwarded(PortForward(PORT)) as forward:
                for _ in range(3):
                    assert await _answer(forward, b"is anybody there?") == b""


@pytest.mark.real_sockets
async def test_a_port_of_the_host_that_is_taken_is_told(agent_place: AgentPlace) -> None:
    async with agent_place.opened() as it:
        with socket.create_server(("127.0.0.1", 0)) as taken, it.claiming(PORT_FORWARDS):
            port = taken.getsockname()[1]
            with pytest.raises(HostPortUnavailable) as raised:
                async with it.agent.forwarded(PortForward(PORT, port)):
                    pass
            assert (raised.value.port, raised.value.outcome) == (port, Outcome.DID_NOT)


@pytest.mark.real_sockets
async def test_forwarding_into_a_sandbox_that_has_ended_fails_and_leaves_no_listener(agent_place: AgentPlace) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    async with agent_place.opened() as it:
        with it.claiming(PORT_FORWARDS):
            async with it.agent.forwarded(PortForward(PORT)):
                pass
            await it.sandbox.stop(0)
            with pytest.raises(FirkinError):
                async with it.agent.forwarded(PortForward(PORT, port)):
                    pass
            with pytest.raises(ConnectionError):
                await asyncio.open_connection("127.0.0.1", port)


async def _until_well(it: OpenAgent, action: PortAction) -> None:
    async with asyncio.timeout(_UP_SECONDS):
        while (failure := await it.agent.check_port(action, _CHECK_SECONDS)) is not None:
            assert "refused" in failure
            await asyncio.sleep(0.02)


async def _got(forward: PortForward, path: str) -> tuple[bytes, bytes]:
    """The first line and the body of the answer to a GET request, asked until the server listens."""
    question = f"GET {path} HTTP/1.0\r\n\r\n".encode()
    async with asyncio.timeout(_UP_SECONDS):
        answer = await _answer(forward, question)
        while not answer:
            await asyncio.sleep(0.02)
            answer = await _answer(forward, question)
    head, _, body = answer.partition(b"\r\n\r\n")
    return head.splitlines()[0], body


async def _answer(forward: PortForward, question: bytes) -> bytes:
    """What comes back to the end; nothing when the connection was closed or reset."""
    reader, writer = await asyncio.open_connection(forward.host_address, forward.host_port)
    try:
        writer.write(question)
        async with asyncio.timeout(_UP_SECONDS):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
