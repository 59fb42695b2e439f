"""Proxies between unix sockets in a sandbox and ports of its host."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from grpc.aio import AioRpcError

from firkin.wire import sandbox_context_pb2 as context

from .agent_process import CALL_SECONDS, RunningAgent, detail_of, running_agent

pytestmark = pytest.mark.real_time

_INTO, _OUT_OF = context.ProxyVsockRequest.INTO, context.ProxyVsockRequest.OUT_OF
_PORT = 0x20000001


@contextlib.asynccontextmanager
async def _echo_server(path: Path) -> AsyncIterator[None]:
    """Answers with everything that it got, once the other side ended: only with half-closing it works."""

    async def on_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        data = await reader.read()
        writer.write(b"echo:" + data)
        await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(on_connection, path)
    try:
        yield
    finally:
        server.close()


async def _asked(path: Path, data: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(data)
    await writer.drain()
    writer.write_eof()
    try:
        return await asyncio.wait_for(reader.read(), CALL_SECONDS)
    finally:
        writer.close()


async def _into(agent: RunningAgent, path: Path, proxy_id: str = "p", permissions: int | None = None) -> None:
    request = context.ProxyVsockRequest(id=proxy_id, vsock_port=_PORT, guestPath=str(path), action=_INTO)
    if permissions is not None:
        request.guestSocketPermissions = permissions
    await agent.context.ProxyVsock(request)


async def test_many_connections_go_from_the_sandbox_to_its_host(tmp_path: Path) -> None:
    # The paths of the tests' own directories are the same in the sandbox.
    path = tmp_path / "new/guest.sock"
    data = os.urandom(2 << 20)
    async with running_agent() as agent, _echo_server(agent.sockets / f"host-{_PORT}.sock"):
        await _into(agent, path, permissions=0o660)
        mode = path.stat().st_mode
        answers = await asyncio.gather(*(_asked(path, bytes([number]) + data) for number in range(20)))
        await agent.context.StopVsockProxy(context.StopVsockProxyRequest(id="p"))
        await agent.context.StopVsockProxy(context.StopVsockProxyRequest(id="p"))
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o660
    assert answers == [b"echo:" + bytes([number]) + data for number in range(20)]
    assert list((tmp_path / "new").iterdir()) == []


async def test_connections_go_from_the_host_into_the_sandbox(tmp_path: Path) -> None:
    async with running_agent() as agent, _echo_server(tmp_path / "served.sock"):
        request = context.ProxyVsockRequest(
            id="p", vsock_port=_PORT, guestPath=str(tmp_path / "served.sock"), action=_OUT_OF
        )
        await agent.context.ProxyVsock(request)
        path = agent.sockets / f"guest-{_PORT}.sock"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        answers = await asyncio.gather(*(_asked(path, bytes(100_000)) for _ in range(10)))
        await agent.context.StopVsockProxy(context.StopVsockProxyRequest(id="p"))
        assert not path.exists()
    assert set(answers) == {b"echo:" + bytes(100_000)}


async def test_a_second_proxy_of_an_id_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    async with running_agent() as agent, _echo_server(agent.sockets / f"host-{_PORT}.sock"):
        await _into(agent, tmp_path / "one.sock")
        for path in (tmp_path / "one.sock", tmp_path / "two.sock"):
            with pytest.raises(AioRpcError) as failure:
                await _into(agent, path)
            assert failure.value.code() is grpc.StatusCode.ALREADY_EXISTS
            assert detail_of(failure.value).errno == errno.EEXIST
        assert await _asked(tmp_path / "one.sock", b"x") == b"echo:x"
        assert not (tmp_path / "two.sock").exists()


async def test_a_connection_outlives_its_proxy(tmp_path: Path) -> None:
    async with running_agent() as agent, _echo_server(agent.sockets / f"host-{_PORT}.sock"):
        await _into(agent, tmp_path / "one.sock")
        reader, writer = await asyncio.open_unix_connection(tmp_path / "one.sock")
        writer.write(b"before ")
        await agent.context.StopVsockProxy(context.StopVsockProxyRequest(id="p"))
        writer.write(b"after")
        writer.write_eof()
        assert await asyncio.wait_for(reader.read(), CALL_SECONDS) == b"echo:before after"
        writer.close()
        with pytest.raises(FileNotFoundError):
            await _asked(tmp_path / "one.sock", b"x")


async def test_a_host_that_does_not_listen_ends_the_connection_only(tmp_path: Path) -> None:
    async with running_agent() as agent:
        await _into(agent, tmp_path / "one.sock")
        with contextlib.suppress(ConnectionError):
            assert await _asked(tmp_path / "one.sock", b"") == b""
        async with _echo_server(agent.sockets / f"host-{_PORT}.sock"):
            assert await _asked(tmp_path / "one.sock", b"x") == b"echo:x"


async def test_a_peer_that_does_not_read_stops_no_other_connection(tmp_path: Path) -> None:
    async with running_agent() as agent, _echo_server(agent.sockets / f"host-{_PORT}.sock"):
        await _into(agent, tmp_path / "one.sock")
        reader, writer = await asyncio.open_unix_connection(tmp_path / "one.sock")
        writer.write(bytes(8 << 20))
        writer.write_eof()
        assert await _asked(tmp_path / "one.sock", b"x") == b"echo:x"
        assert len(await asyncio.wait_for(reader.read(), CALL_SECONDS)) == 5 + (8 << 20)
        writer.close()


async def test_a_socket_is_made_nowhere_else(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "outside")
    (tmp_path / "file").write_text("kept")
    async with running_agent() as agent:
        for path in ("link/s.sock", "link/new/s.sock", "file", "file/new/s.sock", "x/../s.sock"):
            with pytest.raises(AioRpcError):
                await _into(agent, tmp_path / path if ".." not in path else Path("/") / "tmp" / path)
        for path in ("relative", "/proc/s.sock", "/", ""):
            with pytest.raises(AioRpcError) as failure:
                await agent.context.ProxyVsock(
                    context.ProxyVsockRequest(id="p", vsock_port=_PORT, guestPath=path, action=_INTO)
                )
            assert failure.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        for port in (0, 2**32 - 1, 1024):
            with pytest.raises(AioRpcError):
                await agent.context.ProxyVsock(
                    context.ProxyVsockRequest(id="p", vsock_port=port, guestPath="/run/s.sock", action=_OUT_OF)
                )
        # None of them has taken the id.
        await _into(agent, tmp_path / "one.sock")
    assert (tmp_path / "file").read_text() == "kept"
    assert list((tmp_path / "outside").iterdir()) == []


async def test_the_path_of_a_socket_may_be_longer_than_an_address_can_be(tmp_path: Path) -> None:
    directory = tmp_path / ("d" * 120)
    directory.mkdir()
    async with running_agent() as agent, _echo_server(agent.sockets / f"host-{_PORT}.sock"):
        await _into(agent, directory / "long.sock")
        descriptor = os.open(directory, os.O_PATH)
        try:
            assert await _asked(Path(f"/proc/self/fd/{descriptor}/long.sock"), b"x") == b"echo:x"
        finally:
            os.close(descriptor)
