"""The agent's part in processes."""

from __future__ import annotations

from typing import Protocol

import msgspec

from firkin.domain.process import ExitStatus, ProcessRef, StdioOptions
from firkin.domain.terminal import TerminalSize

from .streams import ByteSink, ByteSource


class ProcessLaunch(msgspec.Struct, frozen=True):
    """A further process of a running container (an exec).

    Attributes:
        ref: which container, and the process's own id.
        runtime_spec: OCI runtime-spec configuration as JSON, of which `process` counts.
        stdio: which streams the host wants. With a terminal, stdin and stdout are its two directions.
        terminal: the first size of the terminal that `runtime_spec` asks for; None when it asks for none. The command
            may begin a moment before that is set; then it gets SIGWINCH.
    """

    ref: ProcessRef
    runtime_spec: bytes
    stdio: StdioOptions
    terminal: TerminalSize | None = None


class ProcessStreams(msgspec.Struct, frozen=True):
    """The host's ends of the streams that are piped; None for every other."""

    stdin: ByteSink | None = None
    stdout: ByteSource | None = None
    stderr: ByteSource | None = None


class StartedProcess(msgspec.Struct, frozen=True):
    """A process that runs.

    Attributes:
        pid: in the sandbox's process namespace.
        streams: those that were asked for as piped. Inherited ones are connected to the caller's own already.
        runtime_seconds: what the OCI runtime took of the call.
        stdio_seconds: what opening the streams took of it.
        create_seconds: what came before the OCI runtime: connecting the streams, overlay and bundle.
    """

    pid: int
    streams: ProcessStreams = ProcessStreams()
    runtime_seconds: float = 0.0
    stdio_seconds: float = 0.0
    create_seconds: float = 0.0


class AgentProcesses(Protocol):
    """Processes of running containers."""

    async def start_process(self, launch: ProcessLaunch) -> StartedProcess:
        """Run a further process in a container; returns once the command was executed.

        Raises:
            ContainerNotRunning: the container's init does not run.
            CommandNotFound, CommandNotExecutable, UserUnknown, RuntimeFailed: it cannot start.
        """
        ...

    async def wait_process(self, ref: ProcessRef) -> ExitStatus:
        """Wait for the end of a process, for as long as it takes; many may wait, also after the end.

        When it returns, all that the process wrote has left the sandbox: it is in the host's ends of the
        streams, or (inherited ones) in the caller's own.
        """
        ...

    async def kill_process(self, ref: ProcessRef, signal: int) -> None:
        """Send a signal; a process that has ended ignores it."""
        ...

    async def resize_process(self, ref: ProcessRef, columns: int, rows: int) -> None:
        """Tell a process that its terminal has another size; one that has ended ignores it.

        Raises:
            InvalidTerminalSize: a side is negative or more than 65535.
            NoTerminal: the process has none.
            UnsupportedFeature: the agent cannot resize.
        """
        ...

    async def remove_process(self, ref: ProcessRef) -> None:
        """Forget a process that has ended, killing it if it runs; its container's overlay stays.

        An unknown process is removed already.
        """
        ...
