"""Proxies to TCP ports that are dialled before the call answers."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from firkin.domain.errors import AgentError, InvalidArgument
from firkin.vminitd.host_streams import HostStreams
from firkin.vminitd.proxies import Proxies

pytestmark = pytest.mark.real_time

_PORT = 0x20000001
_DEADLINE_SECONDS = 60.0
"""Whatever takes longer hangs."""


class _Server:
    """Greets whoever connects; counts connections, and tells when all of them have ended."""

    def __init__(self) -> None:
        self.connections = 0
        self.open = 0
        self.all_ended = asyncio.Event()
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        self.all_ended.clear()
        writer.write(f"connection {self.connections}".encode())
        with contextlib.suppress(OSError):
            await reader.read()
        writer.close()
        self.open -= 1
        if not self.open:
            self.all_ended.set()


@contextlib.asynccontextmanager
async def _serving(address: str = "127.0.0.1") -> AsyncIterator[_Server]:
    server = _Server()
    async with await asyncio.start_server(server.serve, address, 0) as listener:
        server.port = listener.sockets[0].getsockname()[1]
        yield server


@contextlib.asynccontextmanager
async def _proxies(directory: Path) -> AsyncIterator[Proxies]:
    proxies = Proxies(HostStreams(str(directory)))
    try:
        yield proxies
    finally:
        await proxies.close()


async def _greeting(directory: Path) -> bytes:
    reader, writer = await asyncio.open_unix_connection(directory / f"guest-{_PORT}.sock")
    writer.write_eof()
    try:
        return await asyncio.wait_for(reader.read(), _DEADLINE_SECONDS)
    finally:
        writer.close()


@pytest.mark.parametrize(("address", "written"), [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]")])
async def test_the_first_connection_is_there_before_the_answer(address: str, written: str, tmp_path: Path) -> None:
    async with _serving(address) as server, _proxies(tmp_path) as proxies:
        await proxies.out_of("p", _PORT, f"tcp-connected:{written}:{server.port}")
        assert await _greeting(tmp_path) == b"connection 1"
        assert await _greeting(tmp_path) == b"connection 2"
    assert server.connections == 2


async def test_a_connection_that_nobody_asked_for_ends_with_its_proxy(tmp_path: Path) -> None:
    async with _serving() as server, _proxies(tmp_path) as proxies:
        await proxies.out_of("p", _PORT, f"tcp-connected:localhost:{server.port}")
        proxies.stop("p")
        async with asyncio.timeout(_DEADLINE_SECONDS):
            await server.all_ended.wait()
    assert not os.listdir(tmp_path)


async def test_a_port_that_refuses_is_an_error_with_its_errno_and_takes_no_id(tmp_path: Path) -> None:
    with socket.socket() as silent:
        # Nobody listens on it, and nobody else can have it.
        silent.bind(("127.0.0.1", 0))
        await _check_refused(silent.getsockname()[1], tmp_path)


async def _check_refused(port: int, tmp_path: Path) -> None:
    async with _serving() as server, _proxies(tmp_path) as proxies:
        with pytest.raises(AgentError) as failure:
            await proxies.out_of("p", _PORT, f"tcp-connected:127.0.0.1:{port}")
        assert (failure.value.errno, failure.value.path) == (errno.ECONNREFUSED, f"tcp-connected:127.0.0.1:{port}")
        await proxies.out_of("p", _PORT, f"tcp-connected:127.0.0.1:{server.port}")


async def test_a_second_proxy_of_the_same_id_or_port_changes_nothing_and_keeps_no_connection(tmp_path: Path) -> None:
    async with _serving() as first, _serving() as second, _proxies(tmp_path) as proxies:
        await proxies.out_of("p", _PORT, f"tcp-connected:127.0.0.1:{first.port}")
        for proxy_id in ("p", "q"):
            with pytest.raises(AgentError):
                await proxies.out_of(proxy_id, _PORT, f"tcp-connected:127.0.0.1:{second.port}")
        async with asyncio.timeout(_DEADLINE_SECONDS):
            await second.all_ended.wait()
        assert await _greeting(tmp_path) == b"connection 1"


@pytest.mark.parametrize(
    "target",
    ["", "80", "127.0.0.1:", ":80", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:x", "a b:80", "[::1:80", "x\x01:80"],
)
async def test_a_target_that_is_none_is_refused(target: str, tmp_path: Path) -> None:
    async with _proxies(tmp_path) as proxies:
        with pytest.raises(InvalidArgument):
            await proxies.out_of("p", _PORT, f"tcp-connected:{target}")
