"""What a process in a pod writes, on this process's standard output and standard error."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from .prefixed_output import LineWriter

if TYPE_CHECKING:
    from firkin.ports.pod_control import AttachedProcess

_CHUNK_BYTES = 65536


async def shown(process: AttachedProcess) -> None:
    """Show the output of a process to its end."""
    writers = {"stdout": LineWriter(1), "stderr": LineWriter(2)}
    async with writers["stdout"].writing(), writers["stderr"].writing():
        async for piece in process.output():
            await writers[piece.stream].write(piece.data)


@contextlib.asynccontextmanager
async def input_passed_on(process: AttachedProcess, descriptor: int = 0) -> AsyncIterator[None]:
    """Pass what comes on a descriptor on to a process, and its end, as long as the block lasts."""
    async with asyncio.TaskGroup() as group:
        passing = group.create_task(_pass_on(process, descriptor))
        try:
            yield
        finally:
            passing.cancel()


async def _pass_on(process: AttachedProcess, descriptor: int) -> None:
    while data := await _read(descriptor):
        await process.write(data)
    await process.end_input()


async def _read(descriptor: int) -> bytes:
    loop = asyncio.get_running_loop()
    is_readable: asyncio.Future[None] = loop.create_future()
    try:
        loop.add_reader(descriptor, _settle, is_readable)
    except PermissionError:
        # A regular file is always readable, which is why epoll(7) does not watch it.
        return await asyncio.to_thread(os.read, descriptor, _CHUNK_BYTES)
    except OSError:
        return b""  # it is closed
    try:
        await is_readable
    finally:
        loop.remove_reader(descriptor)
    try:
        return os.read(descriptor, _CHUNK_BYTES)
    except OSError:
        return b""


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
