"""Processes of running containers, over SandboxContext."""

from __future__ import annotations

import signal

from firkin.domain.errors import FirkinError
from firkin.domain.process import ExitReason, ExitStatus, ProcessRef
from firkin.domain.terminal import TerminalSize
from firkin.ports.agent_processes import ProcessLaunch, StartedProcess
from firkin.wire import sandbox_context_pb2 as wire

from ..errors import CallKind
from .calls import SandboxContextPart
from .process_start import started_process

_SIGNAL_BASE = 128
# The agent closes its ends before it answers a wait. A process's child that keeps one open is not waited for.
_DRAIN_SECONDS = 3.0


class SandboxContextProcesses(SandboxContextPart):
    """Starting, waiting for and ending processes."""

    async def start_process(self, launch: ProcessLaunch) -> StartedProcess:
        """Run a further process in a container; returns once the command was executed."""
        return await started_process(self._calls, launch)

    async def wait_process(self, ref: ProcessRef) -> ExitStatus:
        """Wait for the end of a process, and for its inherited output to be with the caller.

        This service tells only a number, in which an exit code above 128 and a signal look alike; it is taken
        for the signal, which it nearly always is. A SIGKILL is taken for the kernel's when the container's count of
        OOM kills has risen, which another process of the container can have done meanwhile.
        """
        kind = CallKind("wait process", None, changes=False)
        async with self._calls.session.guarded(kind):
            request = wire.WaitProcessRequest(id=ref.process_id, containerID=ref.container_id)
            answer = await self._calls.stub.WaitProcess(request)
        await self._calls.session.streams.drained(ref, {}, _DRAIN_SECONDS)
        status = _exit_status(answer.exitCode)
        if status.signal == signal.SIGKILL and await self._is_out_of_memory(ref.container_id):
            return ExitStatus.from_signal(signal.SIGKILL, ExitReason.OOM_KILLED)
        return status

    async def _is_out_of_memory(self, container_id: str) -> bool:
        """Whether more of the container's processes were killed for memory than when this was asked last."""
        calls = self._calls
        request = wire.ContainerStatisticsRequest(
            container_ids=[container_id], categories=[wire.STAT_CATEGORY_MEMORY_EVENTS]
        )
        try:
            answer = await calls.session.answer(
                calls.stub.ContainerStatistics, request, "read container statistics", changes=False
            )
        except FirkinError:
            return False
        kills = sum(one.memory_events.oom_kill for one in answer.containers)
        seen, calls.oom_kills[container_id] = calls.oom_kills.get(container_id, 0), kills
        return kills > seen

    async def kill_process(self, ref: ProcessRef, signal: int) -> None:
        """Send a signal; a process that has ended ignores it."""
        request = wire.KillProcessRequest(id=ref.process_id, containerID=ref.container_id, signal=signal)
        await self._calls.session.answer(self._calls.stub.KillProcess, request, "kill process")

    async def resize_process(self, ref: ProcessRef, columns: int, rows: int) -> None:
        """Tell a process that its terminal has another size; one that has ended ignores it."""
        await self._calls.resize_process(ref, TerminalSize(columns, rows), "resize process")

    async def remove_process(self, ref: ProcessRef) -> None:
        """Forget a process that has ended, killing it if it runs."""
        await self._calls.kill_if_there(ref.container_id, ref.process_id, signal.SIGKILL, "remove process")
        await self._calls.delete_process(ref.container_id, ref.process_id, "remove process")
        self._calls.session.streams.forget(ref)


def _exit_status(code: int) -> ExitStatus:
    is_signal = _SIGNAL_BASE < code < _SIGNAL_BASE + signal.NSIG
    return ExitStatus.from_signal(code - _SIGNAL_BASE) if is_signal else ExitStatus(code)
