"""One process of a container, from its creation until it is forgotten."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import sys
import time

import msgspec

from firkin.domain.errors import ContainerNotRunning, FirkinError, NoTerminal
from firkin.domain.events import ProcessCreated, ProcessExited, ProcessStarted
from firkin.domain.process import ExitReason, ExitStatus, ProcessRef
from firkin.domain.terminal import TerminalSize

from .bundles import LaunchFiles, write_console_size
from .events import EventHub
from .oom import OomCounter
from .process_stdio import ProcessStdio
from .reaper import Child
from .runtime import Launched, read_log
from .runtime_errors import failed_execution

_RUNTIME_FAILURE_CODES = (1, 255)


class ProcessEnd(msgspec.Struct, frozen=True):
    """How a process ended, and how much output of it left the sandbox; `unix_seconds` is when."""

    status: ExitStatus
    stdout_bytes: int
    stderr_bytes: int
    unix_seconds: float


class GuestProcess:
    """A container's init or an exec: created, then running, then ended.

    Attributes:
        changing: held while an exec is started, or removed.
    """

    def __init__(
        self, ref: ProcessRef, launch: LaunchFiles, stdio: ProcessStdio, oom: OomCounter, events: EventHub
    ) -> None:
        self.ref = ref
        self.launch = launch
        self.stdio = stdio
        self.changing = asyncio.Lock()
        self._oom = oom
        self._events = events
        self._started_at = 0.0
        self._child: Child | None = None
        self._status: ExitStatus | None = None
        self._ended_at = 0.0
        self._settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        events.publish(ProcessCreated(time.time(), ref.container_id, ref.process_id))

    @property
    def phase(self) -> str:
        """created, running or ended."""
        if self._child is None:
            return "ended" if self._settled.done() else "created"
        return "running" if self._child.is_running else "ended"

    @property
    def pid(self) -> int:
        """In the sandbox's process namespace; 0 before the start."""
        return self._child.pid if self._child is not None else 0

    def started(self, launched: Launched) -> None:
        """The OCI runtime started it."""
        self._child = launched.child
        self._started_at, self._started_monotonic = time.time(), time.monotonic()
        ids = (self.ref.container_id, self.ref.process_id)
        self._events.publish(ProcessStarted(self._started_at, *ids, self.pid, launched.runtime_seconds))
        launched.child.ended.add_done_callback(self._on_end)
        self.stdio.begin(launched.master)

    def resize(self, size: TerminalSize) -> None:
        """Set the size of its terminal: at once, or with its start; an ended process ignores it.

        Raises:
            NoTerminal: it has none.
        """
        if not self.launch.console_socket:
            raise NoTerminal(self.ref.process_id)
        if self.phase == "created":
            write_console_size(self.launch, size)
        else:
            self.stdio.resize(size)

    def forget(self) -> None:
        """It is of no interest any more: close its streams, and let go who waits for one that was never started."""
        self.stdio.close()
        # Of one that was started its end lets them go, also when that is about to be told.
        if not self._settled.done() and self._child is None:
            self._settled.set_result(None)

    async def wait(self) -> ProcessEnd:
        """Wait for the end, and for the output to have been handed on; many may wait.

        Raises:
            ContainerNotRunning: it was removed without ever having run.
        """
        await asyncio.shield(self._settled)
        if self._status is None:
            raise ContainerNotRunning(self.ref.container_id, "removed")
        await self.stdio.flush_output(until_end=self.ref.is_init)
        out, err = self.stdio.output_bytes("stdout"), self.stdio.output_bytes("stderr")
        return ProcessEnd(self._status, out, err, self._ended_at)

    def kill(self, signal_number: int) -> None:
        """Send a signal; an ended process ignores it.

        Raises:
            ContainerNotRunning: it was not started yet.
            OSError: the signal does not exist.
        """
        if self._child is None:
            raise ContainerNotRunning(self.ref.container_id, self.phase)
        self._child.kill(signal_number)

    async def kill_and_wait(self, timeout_seconds: float) -> bool:
        """Kill it and wait for its end; False when it did not end in time."""
        if self._child is None:
            return True
        self._child.kill(signal.SIGKILL)
        await asyncio.wait({self._child.ended}, timeout=timeout_seconds)
        return not self._child.is_running

    def _on_end(self, ended: asyncio.Future[int]) -> None:
        if ended.cancelled():
            return
        self._ended_at = time.time()
        self._status = self._exit_status(ended.result())
        # Whoever sets the clock meanwhile makes no life longer, nor shorter than nothing.
        lifetime_seconds = time.monotonic() - self._started_monotonic
        ids = (self.ref.container_id, self.ref.process_id)
        self._events.publish(ProcessExited(self._ended_at, *ids, self._status, lifetime_seconds))
        self.stdio.close_input()
        # One whose container was removed while it was being started is settled already.
        if not self._settled.done():
            self._settled.set_result(None)

    def _exit_status(self, wait_status: int) -> ExitStatus:
        code = os.waitstatus_to_exitcode(wait_status)
        # Asked at every end: what was killed below one process says nothing of the next one that SIGKILL ends.
        for_memory = self._oom.has_killed_again()
        if code < 0:
            killed = -code == signal.SIGKILL and for_memory
            return ExitStatus.from_signal(-code, ExitReason.OOM_KILLED if killed else ExitReason.SIGNALED)
        if code in _RUNTIME_FAILURE_CODES:
            failure = failed_execution(read_log(self.launch.log_file))
            if failure is not None:
                print(f"vminitd: {self.launch.command!r} was not executed: {failure[1]}", file=sys.stderr, flush=True)
                return ExitStatus(failure[0])
        return ExitStatus(code)


def not_startable(process: GuestProcess) -> FirkinError:
    """The error for a second start of a process."""
    phase = f"{process.phase} and cannot be started again"
    return ContainerNotRunning(process.ref.container_id, phase, errno=errno.EBUSY)
