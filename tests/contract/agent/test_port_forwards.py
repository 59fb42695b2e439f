"""Ports of the host that lead into the pod, over memory and both services of vminitd."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from firkin.adapters.memory import MemoryProcess
from firkin.domain.errors import HostPortUnavailable
from firkin.domain.port_forwards import PortForward
from firkin.ports.agent_network import PORT_FORWARDS
from tests.sandbox_network import listening_in

from .roads import AGENT_V1, MEMORY, SANDBOX_CONTEXT, OpenAgent, Road

pytestmark = pytest.mark.real_time

PORT = 8080
SECONDS = 60.0
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Place:
    """A sandbox in which a server of this process can listen."""

    def __init__(self, opened: OpenAgent, handlers: list[Handler]) -> None:
        self.agent = opened.agent
        self.sandbox = opened.sandbox
        self._opened = opened
        self._handlers = handlers

    @contextlib.asynccontextmanager
    async def server(self, handler: Handler, address: str = "127.0.0.1") -> AsyncIterator[None]:
        if not self.sandbox.socket_directory.exists():
            self._handlers.append(handler)
            await self._opened.started("server", "/bin/server")
            yield
            return
        listener = listening_in(self.sandbox.socket_directory, PORT, address)
        server = await asyncio.start_server(handler, sock=listener)
        try:
            yield
        finally:
            server.close()


@pytest.fixture(params=[MEMORY, AGENT_V1, SANDBOX_CONTEXT])
def road(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def opened(road: str, tmp_path: Path) -> Callable[[], contextlib.AbstractAsyncContextManager[Place]]:
    handlers: list[Handler] = []

    async def server(process: MemoryProcess) -> int:
        process.servers[PORT] = handlers[-1]
        await asyncio.sleep(3600)
        return 0

    @contextlib.asynccontextmanager
    async def open_place() -> AsyncIterator[Place]:
        async with asyncio.timeout(4 * SECONDS), Road(road, tmp_path, {"server": server}).opened() as it:
            yield Place(it, handlers)

    return open_place


Opened = Callable[[], contextlib.AbstractAsyncContextManager[Place]]


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers what it was sent, all of it, once the other side has ended."""
    writer.write(b"echo:" + await reader.read())
    writer.close()


async def connected(forward: PortForward) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(forward.host_address, forward.host_port)


async def asked(forward: PortForward, question: bytes) -> bytes:
    reader, writer = await connected(forward)
    writer.write(question)
    writer.write_eof()
    try:
        return await reader.read()
    finally:
        writer.close()


async def test_what_is_sent_arrives_and_either_side_may_end_first(opened: Opened) -> None:
    async def greets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Ends its own direction first, and then still takes what it is sent."""
        writer.write(b"hello")
        writer.write_eof()
        heard.append(await reader.read())
        done.set()
        writer.close()

    heard: list[bytes] = []
    done = asyncio.Event()
    async with opened() as place:
        assert PORT_FORWARDS in (await place.agent.info()).features or place.sandbox.socket_directory.exists()
        async with place.agent.forwarded(PortForward(PORT)) as forward:
            assert forward.host_address == "127.0.0.1"
            assert forward.host_port > 0
            async with place.server(echo):
                assert await asked(forward, b"question") == b"echo:question"
    async with opened() as place, place.server(greets), place.agent.forwarded(PortForward(PORT)) as forward:
        reader, writer = await connected(forward)
        assert await reader.read() == b"hello"
        writer.write(b"and more")
        writer.write_eof()
        await done.wait()
        writer.close()
    assert heard == [b"and more"]


async def test_a_connection_that_nobody_takes_is_closed_at_once(opened: Opened) -> None:
    async with opened() as place, place.agent.forwarded(PortForward(PORT)) as forward:
        for _ in range(3):
            reader, writer = await connected(forward)
            assert await reader.read() == b""
            # Not only the other direction: the whole connection is over.
            with pytest.raises(ConnectionError):
                await _writes_for_ever(writer)
            writer.close()
        async with place.server(echo):
            assert await asked(forward, b"later") == b"echo:later"


async def _writes_for_ever(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"x" * 65536)
        await writer.drain()


async def test_many_connections_at_once_do_not_hold_each_other_up(opened: Opened) -> None:
    async with opened() as place, place.server(echo), place.agent.forwarded(PortForward(PORT)) as forward:
        idle = [await connected(forward) for _ in range(20)]
        answers = await asyncio.gather(*(asked(forward, b"%d" % number) for number in range(150)))
        assert answers == [b"echo:%d" % number for number in range(150)]
        for number, (reader, writer) in enumerate(idle):
            writer.write(b"idle %d" % number)
            writer.write_eof()
            assert await reader.read() == b"echo:idle %d" % number
            writer.close()


async def test_megabytes_arrive_whole_in_both_directions(opened: Opened) -> None:
    data = os.urandom(1 << 20) * 24
    async with opened() as place, place.server(echo), place.agent.forwarded(PortForward(PORT)) as forward:
        assert await asked(forward, data) == b"echo:" + data


async def test_a_reader_that_takes_nothing_holds_the_sender_up(road: str, opened: Opened) -> None:
    sent = 0
    goes_on = asyncio.Event()

    async def floods(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        with contextlib.suppress(ConnectionError):
            while sent < 1 << 30:
                writer.write(b"x" * 65536)
                await writer.drain()
                sent += 65536
                goes_on.set()

    async with opened() as place, place.server(floods), place.agent.forwarded(PortForward(PORT)) as forward:
        reader, writer = await connected(forward)
        await goes_on.wait()
        # Nobody reads, so the reader's buffer and the sockets fill up: it has stalled once nothing is sent for a while.
        with contextlib.suppress(TimeoutError):
            while True:
                goes_on.clear()
                async with asyncio.timeout(1):
                    await goes_on.wait()
        assert 0 < sent < 64 << 20
        stalled_at = sent
        while sent <= stalled_at:
            assert await reader.read(1 << 20)
        writer.close()


async def test_leaving_ends_listening_and_every_connection(opened: Opened) -> None:
    async with opened() as place, place.server(echo):
        async with place.agent.forwarded(PortForward(PORT)) as forward:
            reader, writer = await connected(forward)
            # A byte has gone all the way, so the connection is not merely in a queue.
            assert await asked(forward, b"1") == b"echo:1"
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        writer.close()
        with pytest.raises(ConnectionError):
            await connected(forward)
        async with place.agent.forwarded(forward) as again:
            assert again == forward
            assert await asked(again, b"2") == b"echo:2"
        if place.sandbox.socket_directory.exists():
            assert list(place.sandbox.socket_directory.glob("guest-5*")) == []


async def test_a_port_in_use_is_told_and_an_address_of_nobody_too(opened: Opened) -> None:
    async with opened() as place:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            with pytest.raises(HostPortUnavailable) as in_use:
                async with place.agent.forwarded(PortForward(PORT, port)):
                    pass
        with pytest.raises(HostPortUnavailable) as nobody:
            async with place.agent.forwarded(PortForward(PORT, 0, "192.0.2.1")):
                pass
    assert (in_use.value.port, in_use.value.reason) == (port, "Address already in use")
    assert nobody.value.address == "192.0.2.1"


async def test_both_loopback_addresses_of_the_pod_are_reached(road: str, opened: Opened) -> None:
    async with opened() as place, place.server(echo, "::1"), place.agent.forwarded(PortForward(PORT)) as forward:
        assert await asked(forward, b"six") == b"echo:six"


async def test_with_the_sandbox_its_connections_end(opened: Opened) -> None:
    async with opened() as place, place.server(echo), place.agent.forwarded(PortForward(PORT)) as forward:
        reader, writer = await connected(forward)
        writer.write(b"x")
        await writer.drain()
        assert await asked(forward, b"1") == b"echo:1"
        await place.sandbox.stop(0)
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        writer.close()
        again, writer = await connected(forward)
        with contextlib.suppress(ConnectionError):
            assert await again.read() == b""
        writer.close()
