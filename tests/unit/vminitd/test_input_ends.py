"""The end of a process's input comes behind every byte that the host sent before it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
from collections.abc import AsyncIterator
from pathlib import Path

from firkin.testkit.opened_agent import same_bytes
from firkin.vminitd.host_streams import HostStreams
from firkin.vminitd.process_stdio import ProcessStdio, StdioRequest, StreamRequest

_HOUR_SECONDS = 3600.0
_PIECE_BYTES = 64 * 1024


class _LateStreams(HostStreams):
    """Streams on which bytes may be on their way for a second."""

    underway_seconds = 1.0


class _Input:
    """The standard input of a process that is not there: the test is what reads, and the host."""

    def __init__(self, stdio: ProcessStdio, host: socket.socket) -> None:
        self.stdio = stdio
        self.host = host
        assert stdio.child_ends.stdin is not None
        self.process_end = os.dup(stdio.child_ends.stdin)
        os.set_blocking(self.process_end, False)

    async def read(self) -> bytes:
        """The next piece as the process reads it; nothing at the end."""
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        loop.add_reader(self.process_end, readable.set)
        try:
            await readable.wait()
        finally:
            loop.remove_reader(self.process_end)
        return os.read(self.process_end, _PIECE_BYTES)

    async def rest(self) -> bytes:
        """Everything to the end."""
        received = bytearray()
        while piece := await self.read():
            received += piece
        return bytes(received)


@contextlib.asynccontextmanager
async def _opened_input(directory: Path, streams: type[HostStreams] = HostStreams) -> AsyncIterator[_Input]:
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(str(directory / "host-1.sock"))
        listener.listen()
        stdio = await ProcessStdio.opened(streams(str(directory)), StdioRequest(stdin=StreamRequest(1)))
        stack.callback(stdio.close)
        host = stack.enter_context(listener.accept()[0])
        host.setblocking(False)
        stdio.lead_to_process(has_terminal=False)
        opened = _Input(stdio, host)
        stack.callback(os.close, opened.process_end)
        yield opened


async def test_a_process_that_reads_nothing_for_an_hour_still_gets_every_byte(tmp_path: Path) -> None:
    data = random.Random(1).randbytes(4 << 20)
    received = bytearray()
    async with _opened_input(tmp_path) as it, asyncio.TaskGroup() as group:
        it.stdio.begin()
        sending = group.create_task(asyncio.get_running_loop().sock_sendall(it.host, data))
        while not sending.done():
            received += await it.read()
        assert len(received) < len(data)
        it.stdio.end_input()
        await asyncio.sleep(_HOUR_SECONDS)
        received += await it.rest()
    assert same_bytes(received, data)


async def test_an_end_before_the_start_comes_behind_what_was_sent_by_then(tmp_path: Path) -> None:
    async with _opened_input(tmp_path) as it:
        it.host.sendall(b"early")
        it.stdio.end_input()
        it.stdio.begin()
        assert await it.rest() == b"early"


async def test_an_end_before_the_start_is_the_end_also_when_nothing_was_sent(tmp_path: Path) -> None:
    async with _opened_input(tmp_path) as it:
        it.stdio.end_input()
        it.stdio.end_input()
        it.stdio.begin()
        assert await it.rest() == b""


async def test_an_input_ends_once(tmp_path: Path) -> None:
    async with _opened_input(tmp_path) as it:
        it.stdio.begin()
        it.host.sendall(b"all")
        for _ in range(3):
            it.stdio.end_input()
        assert await it.rest() == b"all"
        it.stdio.end_input()
        it.stdio.close_input()
        it.stdio.end_input()


async def test_the_end_waits_for_bytes_that_are_on_their_way(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    async with _opened_input(tmp_path, _LateStreams) as it:
        it.stdio.begin()
        it.stdio.end_input()
        for piece in (b"one ", b"two ", b"three"):
            await asyncio.sleep(0.9)
            it.host.sendall(piece)
        sent_at = loop.time()
        assert await it.rest() == b"one two three"
        assert 0.95 <= loop.time() - sent_at <= 2.0


async def test_the_hosts_own_end_waits_for_nothing(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    async with _opened_input(tmp_path, _LateStreams) as it:
        it.stdio.begin()
        it.host.sendall(b"all")
        it.host.shutdown(socket.SHUT_WR)
        it.stdio.end_input()
        assert await it.rest() == b"all"
        assert loop.time() < 1.0
