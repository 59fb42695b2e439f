"""A process in the sandbox, from its start until it is forgotten."""

from __future__ import annotations

import asyncio
import signal as signals
from collections.abc import Sequence

from firkin.domain.errors import FirkinError, OutputLimitExceeded, SandboxDied
from firkin.domain.process import ExitStatus, Output, ProcessRef
from firkin.domain.terminal import TerminalSize
from firkin.ports.agent import Agent
from firkin.ports.agent_processes import StartedProcess

from .log_recorder import LogRecorder
from .output_streams import InputStream, OutputStream
from .task_scope import TaskScope, joined
from .unread_output import UnreadOutput

DEFAULT_CAPTURE_BYTES = 256 * 2**20
_CAPTURE_DRAIN_SECONDS = 5.0
# More than the pipes and sockets between a process and its reader hold.
_UNREAD_OUTPUT_BYTES = 4 * 2**20
# One that writes on while it is to end gets that much again later and later, so that this stays a bound.
_FIRST_PATIENCE_SECONDS = 0.25
_WAIT_ATTEMPTS = 3
_WAIT_PAUSE_SECONDS = 0.1


class RunningProcess:
    """One start of a process: its exit and its output are learned once and shared by all who ask."""

    def __init__(
        self,
        ref: ProcessRef,
        started: StartedProcess,
        agent: Agent,
        scope: TaskScope,
        recorder: LogRecorder | None = None,
        logged: Sequence[str] = (),
    ) -> None:
        """`recorder` takes the streams that are `logged`, which are then nobody else's."""
        self.ref = ref
        self.pid = started.pid
        streams = started.streams
        self.stdin = None if streams.stdin is None else InputStream(streams.stdin)
        self._outputs = [None if one is None else UnreadOutput(one) for one in (streams.stdout, streams.stderr)]
        self.stdout, self.stderr = [None if one is None else OutputStream(one) for one in self._outputs]
        self._agent = agent
        self._scope = scope
        self._recordings = [] if recorder is None else self._recorded(recorder, logged)
        self._exit = scope.start(self._ended(), f"wait for {ref.process_id}")
        self._capture: asyncio.Task[Output] | None = None

    def _recorded(self, recorder: LogRecorder, logged: Sequence[str]) -> list[asyncio.Task[None]]:
        recordings = []
        if self.stdout is not None and "stdout" in logged:
            recordings.append(recorder.start("stdout", self.stdout, self._scope))
            self.stdout = None
        if self.stderr is not None and "stderr" in logged:
            recordings.append(recorder.start("stderr", self.stderr, self._scope))
            self.stderr = None
        return recordings

    async def _ended(self) -> ExitStatus:
        status = await _waited(self._agent, self.ref)
        await self._logged()
        return status

    async def _logged(self) -> None:
        """Let what has left the sandbox reach the log; a stream that stays open is not waited for."""
        if self._recordings:
            await asyncio.wait(self._recordings, timeout=_CAPTURE_DRAIN_SECONDS)

    @property
    def exit(self) -> asyncio.Task[ExitStatus]:
        """Done once the process has ended and its output has left the sandbox."""
        return self._exit

    async def wait(self) -> ExitStatus:
        """Wait for the end."""
        if self._exit.done():
            # In the very step in which it ends, its container does not know of it yet.
            await asyncio.sleep(0)
        return await joined(self._exit)

    async def kill(self, signal: int) -> None:
        """Send a signal; nothing happens when the process has ended."""
        if not self._exit.done():
            await self._agent.kill_process(self.ref, signal)
            if signal == signals.SIGKILL:
                self.keep_unread(_UNREAD_OUTPUT_BYTES)

    def keep_unread(self, more_bytes: int) -> None:
        """Let that much output that nobody reads hold nothing up; who reads later gets it all the same."""
        for output in self._outputs:
            if output is not None:
                self._scope.start(output.keep(more_bytes), f"keep output of {self.ref.process_id}")

    async def resize(self, columns: int, rows: int) -> None:
        """Give its terminal another size; nothing happens when the process has ended.

        Raises:
            InvalidTerminalSize: a side is negative or more than 65535.
            NoTerminal: it has none.
        """
        size = TerminalSize(columns, rows)
        if not self._exit.done():
            await self._agent.resize_process(self.ref, size.columns, size.rows)

    async def stop(
        self, signal: int, grace_seconds: float, hurry: asyncio.Future[None] | None = None
    ) -> tuple[ExitStatus, bool]:
        """Ask the process to end and kill it after the grace; tells the status, and whether it was killed.

        `hurry` ends the grace early.
        """
        if self._exit.done():
            return self._exit.result(), False
        if grace_seconds > 0:
            await self._agent.kill_process(self.ref, signal)
            await self._ended_within(grace_seconds, hurry)
        if killed := not self._exit.done():
            await self.kill(signals.SIGKILL)
        return await self.wait(), killed

    async def _ended_within(self, grace_seconds: float, hurry: asyncio.Future[None] | None) -> None:
        left, patience = grace_seconds, _FIRST_PATIENCE_SECONDS
        while left > 0 and not self._exit.done() and (hurry is None or not hurry.done()):
            await _first_of(self._exit, hurry, min(patience, left))
            left, patience = left - patience, patience * 2
            if not self._exit.done():
                self.keep_unread(_UNREAD_OUTPUT_BYTES)

    async def wait_with_output(self, limit_bytes: int = DEFAULT_CAPTURE_BYTES) -> Output:
        """Wait for the end and collect what the piped streams still hold.

        Raises:
            OutputLimitExceeded: a stream had more than `limit_bytes`.
        """
        if self._capture is None:
            self._capture = self._scope.start(self._collect(limit_bytes), f"output of {self.ref.process_id}")
        return await joined(self._capture)

    async def _collect(self, limit_bytes: int) -> Output:
        async with asyncio.TaskGroup() as readers:
            stdout = readers.create_task(_read(self.stdout, limit_bytes))
            stderr = readers.create_task(_read(self.stderr, limit_bytes))
        for name, (_, exceeded) in (("stdout", stdout.result()), ("stderr", stderr.result())):
            if exceeded:
                raise OutputLimitExceeded(self.ref.container_id, name, limit_bytes)
        return Output(await self.wait(), stdout.result()[0], stderr.result()[0])

    async def drained(self) -> ExitStatus:
        """Wait for the end, and drop what it writes until then, so that it waits for no reader."""
        await asyncio.gather(_read(self.stdout, 0), _read(self.stderr, 0), return_exceptions=True)
        return await self.wait()

    async def aclose(self) -> None:
        """Close the host's ends of the streams, after a capture under way has what it can get."""
        if self._capture is not None and not self._capture.done():
            await asyncio.wait([self._capture], timeout=_CAPTURE_DRAIN_SECONDS)
        await self._logged()
        for recording in self._recordings:
            recording.cancel()
        for stream in (self.stdin, self.stdout, self.stderr):
            if stream is not None:
                await stream.aclose()


async def _first_of(
    exited: asyncio.Future[ExitStatus], hurry: asyncio.Future[None] | None, grace_seconds: float
) -> None:
    ends: set[asyncio.Future[ExitStatus] | asyncio.Future[None]] = {exited}
    if hurry is not None:
        ends.add(hurry)
    await asyncio.wait(ends, timeout=grace_seconds, return_when=asyncio.FIRST_COMPLETED)


async def _waited(agent: Agent, ref: ProcessRef) -> ExitStatus:
    """Wait for a process; a wait that fails is repeated, as nothing is lost by asking again."""
    for _ in range(_WAIT_ATTEMPTS - 1):
        try:
            return await agent.wait_process(ref)
        except SandboxDied:
            raise
        except FirkinError:
            await asyncio.sleep(_WAIT_PAUSE_SECONDS)
    return await agent.wait_process(ref)


async def _read(stream: OutputStream | None, limit_bytes: int) -> tuple[bytes, bool]:
    return (b"", False) if stream is None else await stream.read_up_to(limit_bytes)
