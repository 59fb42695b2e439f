from __future__ import annotations

import asyncio
import os
import socket

import pytest

from firkin.adapters.agent_grpc.stdio_relays import OutputRelay

_MORE_THAN_A_PIPE_HOLDS = bytes(100 << 10)


@pytest.fixture
def sandbox() -> tuple[socket.socket, socket.socket]:
    """The process's end of a stream, and the relay's."""
    return socket.socketpair()


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What firkin said; asyncio and gRPC may say something of their own, for example of what an earlier test left."""
    return [record.getMessage() for record in caplog.records if record.name.startswith("firkin")]


async def test_output_that_a_full_disk_does_not_take_is_told_as_lost(
    sandbox: tuple[socket.socket, socket.socket], caplog: pytest.LogCaptureFixture
) -> None:
    process, connection = sandbox
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        relay = OutputRelay(connection, full)
        process.sendall(b"hello")
        await relay.drained(None)
    finally:
        os.close(full)
        process.close()
    assert told(caplog) == [f"output is lost: descriptor {full} cannot be written: No space left on device"]


async def test_a_reader_that_goes_is_nothing_to_tell_of(
    sandbox: tuple[socket.socket, socket.socket], caplog: pytest.LogCaptureFixture
) -> None:
    process, connection = sandbox
    reader, writer = os.pipe()
    os.close(reader)
    try:
        relay = OutputRelay(connection, writer)
        process.sendall(b"hello")
        await relay.drained(None)
        assert process.recv(1) == b""
    finally:
        os.close(writer)
        process.close()
    assert told(caplog) == []


def _hurried() -> asyncio.Future[None]:
    hurry = asyncio.get_running_loop().create_future()
    hurry.set_result(None)
    return hurry


async def test_who_hurries_waits_for_a_reader_who_takes_nothing_only_so_long(
    sandbox: tuple[socket.socket, socket.socket], caplog: pytest.LogCaptureFixture
) -> None:
    process, connection = sandbox
    reader, writer = os.pipe()
    try:
        relay = OutputRelay(connection, writer)
        process.sendall(_MORE_THAN_A_PIPE_HOLDS)
        await relay.drained(len(_MORE_THAN_A_PIPE_HOLDS), _hurried())
        assert told(caplog) == [f"output is lost: descriptor {writer} takes no more"]
    finally:
        os.close(reader)
        await relay.drained(None)
        os.close(writer)
        process.close()


@pytest.mark.real_time
async def test_who_hurries_waits_for_a_reader_who_reads(
    sandbox: tuple[socket.socket, socket.socket], caplog: pytest.LogCaptureFixture
) -> None:
    process, connection = sandbox
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as reading:
        try:
            relay = OutputRelay(connection, writer)
            process.sendall(_MORE_THAN_A_PIPE_HOLDS)
            async with asyncio.TaskGroup() as group:
                read = group.create_task(asyncio.to_thread(reading.read, len(_MORE_THAN_A_PIPE_HOLDS)))
                await relay.drained(len(_MORE_THAN_A_PIPE_HOLDS), _hurried())
            assert read.result() == _MORE_THAN_A_PIPE_HOLDS
        finally:
            process.close()
            await relay.drained(None)
            os.close(writer)
    assert told(caplog) == []
