"""The streams of processes for somebody far away: output in one stream, in the order in which it came."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import Self

from firkin.domain.errors import FirkinError, NoTerminal
from firkin.domain.process import ExitStatus
from firkin.domain.terminal import TerminalSize
from firkin.ports.pod_control import OutputPiece

from .container import Container
from .container_exec import Process
from .output_streams import InputStream, OutputStream
from .task_scope import TaskScope

_QUEUED_PIECES = 4


class _Input:
    """Input whose reader may have gone."""

    def __init__(self, stream: InputStream | None) -> None:
        self._stream = stream

    async def write(self, data: bytes) -> None:
        if self._stream is not None:
            try:
                await self._stream.write(data)
            except BrokenPipeError:
                self._stream = None

    async def end(self) -> None:
        if self._stream is not None:
            await self._stream.aclose()


class ExecutedProcess:
    """A process that was started for its caller: keeps the port ExecutedProcess while it is entered."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._input = _Input(process.stdin)
        self._scope = TaskScope()
        self._pieces = asyncio.Queue[OutputPiece | None](_QUEUED_PIECES)

    async def __aenter__(self) -> Self:
        streams = {"stdout": self._process.stdout, "stderr": self._process.stderr}
        self._scope.start(self._merge(streams), f"output of {self._process.id}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._scope.aclose()

    async def _merge(self, streams: Mapping[str, OutputStream | None]) -> None:
        async with asyncio.TaskGroup() as group:
            for name, stream in streams.items():
                if stream is not None:
                    group.create_task(self._read(name, stream))
        # It may have closed its streams and live on, and be detached from then.
        with contextlib.suppress(FirkinError):  # `wait` tells it
            await self._process.wait()
        await self._pieces.put(None)

    async def _read(self, name: str, stream: OutputStream) -> None:
        async for data in stream:
            await self._pieces.put(OutputPiece(name, data))

    async def write(self, data: bytes) -> None:
        """Hand input on."""
        await self._input.write(data)

    async def end_input(self) -> None:
        """There will be no more input."""
        await self._input.end()

    async def resize(self, size: TerminalSize) -> None:
        """Give its terminal another size."""
        await self._process.resize(size.columns, size.rows)

    async def kill(self, signal: int) -> None:
        """Send it a signal."""
        await self._process.kill(signal)

    async def detach(self) -> None:
        """Let it run on when its caller leaves."""
        await self._scope.aclose()  # streams have one reader
        await self._process.detach()
        await self._pieces.put(None)

    async def output(self) -> AsyncIterator[OutputPiece]:
        """What it writes."""
        while (piece := await self._pieces.get()) is not None:
            yield piece

    async def wait(self) -> ExitStatus:
        """How it ended."""
        return await self._process.wait()


class JoinedContainer:
    """A container's init that runs on when its caller leaves: keeps the port AttachedProcess."""

    def __init__(self, container: Container) -> None:
        """Join it: output counts from here on.

        Raises:
            NotLogged: the container's output is kept nowhere.
        """
        self._container = container
        self._entries = container.attach()

    async def write(self, data: bytes) -> None:
        """Hand input on."""
        await _Input(self._container.stdin).write(data)

    async def end_input(self) -> None:
        """End the container's input for all who are attached."""
        await _Input(self._container.stdin).end()

    async def resize(self, size: TerminalSize) -> None:
        """Give its terminal another size; one that has none needs none."""
        with contextlib.suppress(NoTerminal):
            await self._container.resize(size.columns, size.rows)

    async def kill(self, signal: int) -> None:
        """Send it a signal."""
        await self._container.kill(signal)

    async def output(self) -> AsyncIterator[OutputPiece]:
        """What it writes, over restarts, until it will not be started again."""
        async for entry in self._entries:
            yield OutputPiece(entry.stream, entry.data)

    async def wait(self) -> ExitStatus:
        """How it ended last."""
        return await self._container.wait_finished()
