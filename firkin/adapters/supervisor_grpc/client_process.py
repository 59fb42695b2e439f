"""The streams of a process in a pod, over one call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

from grpc import StatusCode
from grpc.aio import AioRpcError, StreamStreamCall

from firkin.domain.errors import SupervisorUnreachable
from firkin.domain.ids import PodId
from firkin.domain.process import ExitStatus
from firkin.domain.terminal import TerminalSize
from firkin.ports.pod_control import OutputPiece
from firkin.wire.supervisor_pb2 import ProcessInput, ProcessOutput

from .errors import raising_again
from .messages import exit_status_of, terminal_size

Call = StreamStreamCall[ProcessInput, ProcessOutput]


class GrpcAttachedProcess:
    """Keeps the port AttachedProcess while it is entered; leaving cancels the call."""

    def __init__(self, pod_id: PodId, call: Call, start: ProcessInput) -> None:
        self._pod_id = pod_id
        self._call = call
        self._start = start
        self._status: ExitStatus | None = None
        self._is_detached = False
        # The messages of one call go out one after the other.
        self._turn = asyncio.Lock()

    async def __aenter__(self) -> Self:
        try:
            with raising_again(self._pod_id):
                await self._send(self._start)
                await self._read()
        except BaseException:
            self._call.cancel()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._call.cancel()

    async def _read(self) -> ProcessOutput | None:
        """The next message; None at the end of a call whose process runs on."""
        message = await self._call.read()
        if isinstance(message, ProcessOutput):
            return message
        if self._is_detached and await self._call.code() is StatusCode.OK:
            return None
        raise SupervisorUnreachable(self._pod_id, await self._call.details() or "it ended the call")

    async def _send(self, message: ProcessInput) -> None:
        """Send a message; a process that has ended needs none."""
        async with self._turn:
            try:
                await self._call.write(message)
            except (AioRpcError, asyncio.InvalidStateError):
                return

    async def write(self, data: bytes) -> None:
        """Hand input on."""
        await self._send(ProcessInput(stdin=data))

    async def end_input(self) -> None:
        """There will be no more input."""
        await self._send(ProcessInput(end=True))

    async def resize(self, size: TerminalSize) -> None:
        """Give its terminal another size."""
        await self._send(ProcessInput(resize=terminal_size(size)))

    async def kill(self, signal: int) -> None:
        """Send it a signal."""
        await self._send(ProcessInput(signal=signal))

    async def output(self) -> AsyncIterator[OutputPiece]:
        """What it writes."""
        with raising_again(self._pod_id):
            while (message := await self._read()) is not None:
                match message.WhichOneof("message"):
                    case "stdout":
                        yield OutputPiece("stdout", message.stdout)
                    case "stderr":
                        yield OutputPiece("stderr", message.stderr)
                    case "exit":
                        self._status = exit_status_of(message.exit)
                        return

    async def wait(self) -> ExitStatus:
        """How it ended."""
        if self._status is None:
            async for _ in self.output():
                continue
        assert self._status is not None, "output ends with the exit, or raises"
        return self._status


class GrpcExecutedProcess(GrpcAttachedProcess):
    """Keeps the port ExecutedProcess while it is entered."""

    async def detach(self) -> None:
        """Let it run on when its caller leaves; the supervisor has heard of it when `output` ends."""
        self._is_detached = True
        await self._send(ProcessInput(detach=True))
