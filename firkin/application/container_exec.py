"""Running a further process in a container."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Mapping

from msgspec.structs import replace

from firkin.domain.container_spec import ProcessOptions
from firkin.domain.errors import ContainerNotRunning, FirkinError, InvalidArgument
from firkin.domain.ids import ProcessId
from firkin.domain.lifecycle import ContainerPhase
from firkin.domain.lowering import encoded, exec_runtime_spec
from firkin.domain.process import ExitStatus, Output, ProcessRef, Stdio, StdioOptions
from firkin.domain.terminal import TerminalSize
from firkin.ports.agent_processes import ProcessLaunch

from .container_record import ContainerRecord
from .open_pod import OpenPod
from .output_streams import InputStream, OutputStream
from .running_process import DEFAULT_CAPTURE_BYTES, RunningProcess

PIPED_OUTPUT = StdioOptions(stdout=Stdio.PIPED, stderr=Stdio.PIPED)
_EXEC_NUMBERS = itertools.count(1)


class Process:
    """A process beside a container's init.

    `async with` kills it, when it still runs, and forgets it; one that was detached runs on.
    """

    def __init__(self, pod: OpenPod, record: ContainerRecord, process: RunningProcess) -> None:
        self._pod = pod
        self._record = record
        self._process = process
        self._is_detached = False

    @property
    def id(self) -> ProcessId:
        """Its id, unique in the container."""
        return ProcessId(self._process.ref.process_id)

    @property
    def pid(self) -> int:
        """Its number in the sandbox's process namespace."""
        return self._process.pid

    @property
    def stdin(self) -> InputStream | None:
        """Its standard input, when piped."""
        return self._process.stdin

    @property
    def stdout(self) -> OutputStream | None:
        """Its standard output, when piped."""
        return self._process.stdout

    @property
    def stderr(self) -> OutputStream | None:
        """Its standard error, when piped."""
        return self._process.stderr

    async def wait(self) -> ExitStatus:
        """Wait for its end; cancelling the wait leaves the process running."""
        return await self._process.wait()

    async def wait_with_output(self, limit_bytes: int = DEFAULT_CAPTURE_BYTES) -> Output:
        """Wait for its end, collect what its piped streams still hold, and forget it.

        Raises:
            OutputLimitExceeded: a stream had more than `limit_bytes`.
        """
        output = await self._process.wait_with_output(limit_bytes)
        await self.remove()
        return output

    async def kill(self, signal: int) -> None:
        """Send a signal; nothing happens when it has ended."""
        await self._process.kill(signal)

    async def resize(self, columns: int, rows: int) -> None:
        """Give its terminal another size; nothing happens when it has ended.

        Raises:
            InvalidTerminalSize: a side is negative or more than 65535.
            NoTerminal: it has none.
        """
        await self._process.resize(columns, rows)

    async def detach(self) -> None:
        """Let it run on by itself: what it writes is dropped from now on, and it is forgotten when it ends.

        Its input stays open. It lives no longer than its container. Nobody else may be reading its streams.
        """
        if not self._is_detached:
            self._is_detached = True
            self._pod.scope.start(self._run_on(), f"{self.id} runs on")

    async def _run_on(self) -> None:
        # Whatever hinders the wait, its container's removal ends it.
        with contextlib.suppress(FirkinError):
            await self._process.drained()
        await self.remove()

    async def remove(self) -> None:
        """Kill it, when it still runs, and forget it; twice is fine."""
        if self._record.execs.pop(self.id, None) is not None:
            try:
                await self._pod.agent.remove_process(self._process.ref)
            finally:
                await self._process.aclose()

    async def __aenter__(self) -> Process:
        return self

    async def __aexit__(self, *_: object) -> None:
        if not self._is_detached:
            await self.remove()


async def start_exec(
    pod: OpenPod,
    record: ContainerRecord,
    args: tuple[str, ...],
    *,
    env: Mapping[str, str] | None = None,
    working_dir: str | None = None,
    user: str | None = None,
    stdio: StdioOptions = PIPED_OUTPUT,
    terminal: TerminalSize | None = None,
    while_stopping: bool = False,
) -> Process:
    """Run `args` in a running container, with what the container's own process has unless given here.

    `while_stopping` allows it in a pod that is stopping, too.

    Raises:
        InvalidArgument: standard error is wanted beside a terminal, or a stream in a log, which execs have none of.
        ContainerNotRunning: its init does not run.
        StartFailed: and its subclasses: the process cannot start; nothing of it is left.
    """
    if not while_stopping:
        pod.require_usable()
    if record.plan is None or record.phase not in (ContainerPhase.STARTED, ContainerPhase.RUNNING):
        raise ContainerNotRunning(record.id, record.phase)
    if terminal is not None and stdio.stderr is not Stdio.NULL:
        raise InvalidArgument("with a terminal, everything arrives on stdout: stderr cannot go elsewhere")
    if stdio.logged or stdio.stdin is Stdio.LOG:
        raise InvalidArgument("an exec keeps no log: pipe its output or let it be inherited")
    options = ProcessOptions(args, tuple((env or {}).items()), working_dir, user)
    if terminal is not None:
        options = replace(options, terminal=True, terminal_size=terminal)
    runtime_spec = encoded(exec_runtime_spec(record.plan.runtime_spec, options))
    ref = ProcessRef(record.id, f"exec-{next(_EXEC_NUMBERS)}")
    try:
        started = await pod.agent.start_process(ProcessLaunch(ref, runtime_spec, stdio, terminal))
    except FirkinError as error:
        raise error.during("exec in pod container", pod_id=pod.spec.id, container_id=record.id) from error.__cause__
    process = record.execs[ref.process_id] = RunningProcess(ref, started, pod.agent, pod.scope)
    return Process(pod, record, process)
