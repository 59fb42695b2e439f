"""A container of a running pod, for its user."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from datetime import datetime

from firkin.domain.container_spec import PodContainerSpec
from firkin.domain.copying import CopyReport
from firkin.domain.errors import ContainerNotRunning
from firkin.domain.ids import ContainerId
from firkin.domain.lifecycle import ContainerPhase
from firkin.domain.output_log import LogEntry
from firkin.domain.process import ContainerStartupTiming, ExitStatus, Output, Stdio, StdioOptions
from firkin.domain.statistics import ContainerStatistics, ProcessEntry
from firkin.domain.terminal import TerminalSize

from .container_copy import copied_in, copied_out
from .container_exec import Process, start_exec
from .container_log import read_log
from .container_record import ContainerRecord
from .container_restart import restart_container
from .container_statistics import list_processes, read_statistics, statistics_stream
from .container_stop import stop_container
from .open_pod import OpenPod
from .output_streams import InputStream, OutputStream
from .running_process import DEFAULT_CAPTURE_BYTES, RunningProcess


class Container:
    """A handle on one container; cheap, and there may be many on the same one."""

    def __init__(self, pod: OpenPod, record: ContainerRecord) -> None:
        self._pod = pod
        self._record = record

    @property
    def id(self) -> ContainerId:
        """Its id, unique in the pod."""
        return self._record.id

    @property
    def spec(self) -> PodContainerSpec:
        """What it was asked to be."""
        return self._record.spec

    @property
    def state(self) -> ContainerPhase:
        """Where it is in its life."""
        return self._record.phase

    @property
    def pid(self) -> int:
        """The number of its init in the sandbox's process namespace."""
        return self._process.pid

    @property
    def startup_timing(self) -> ContainerStartupTiming:
        """Where the time of its latest start went, in seconds."""
        return self._record.timing

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

    @property
    def _process(self) -> RunningProcess:
        process = self._record.process
        if process is None:
            raise ContainerNotRunning(self.id, self.state)
        return process

    @property
    def ready(self) -> bool:
        """True while it runs and its startup and readiness probes, when it has any, say that it is ready."""
        return self.state in (ContainerPhase.STARTED, ContainerPhase.RUNNING) and self._record.is_ready

    @property
    def killed_because(self) -> str:
        """Why a probe had its latest run stopped, as in "its liveness probe took longer than 1 s"; "" for no probe."""
        return self._record.killed_because

    @property
    def restart_count(self) -> int:
        """How often the pod's restart policy has started it again."""
        return self._record.restart_count

    @property
    def last_status(self) -> ExitStatus | None:
        """How it ended last, also while it runs again; None before that, and when that could not be learned."""
        return self._record.last_status

    async def wait_finished(self) -> ExitStatus:
        """Wait until it has ended and the pod's restart policy will not start it again.

        Raises:
            SandboxDied: the sandbox ended first.
        """
        if self._record.finished is not None:
            await asyncio.shield(self._record.finished)
        return await self._process.wait()

    async def wait_restarted(self) -> bool:
        """Wait for the end of its init, and then until it was started again; False when it will not be.

        From then on `stdout` and its like are those of the new process.
        """
        process, record = self._process, self._record
        await asyncio.wait([process.exit])
        while record.process is process:
            if record.finished is None or record.finished.done():
                return False
            await asyncio.wait([record.finished, record.next_start], return_when=asyncio.FIRST_COMPLETED)
        return True

    async def wait(self) -> ExitStatus:
        """Wait for the end of its init; any number of callers may wait, also after the end.

        A container whose piped output nobody reads does not end once its pipe is full: read it, or use
        `wait_with_output`.

        Raises:
            SandboxDied: the sandbox ended first.
        """
        return await self._process.wait()

    async def wait_with_output(self, limit_bytes: int = DEFAULT_CAPTURE_BYTES) -> Output:
        """Wait for its end and collect what its piped streams still hold.

        Raises:
            OutputLimitExceeded: a stream had more than `limit_bytes`.
            SandboxDied: the sandbox ended first.
        """
        return await self._process.wait_with_output(limit_bytes)

    def logs(
        self, *, since: datetime | None = None, tail: int | None = None, follow: bool = False
    ) -> AsyncIterator[LogEntry]:
        """Yield what it has written to streams that are `Stdio.LOG`, over all of its starts, also after its end.

        Only what arrived at `since` or later, and of that the last `tail` lines, when given; with `follow` also what
        it writes from now on, until it has ended and its pod's policy does not start it again. Reading slowly holds
        nobody up: who falls behind the log's bound is told by `lost_bytes` of the next entry.

        Raises:
            NotLogged: none of its streams is logged.
            InvalidArgument: `tail` is negative.
        """
        return read_log(self._record, since, tail, follow)

    def attach(self) -> AsyncIterator[LogEntry]:
        """Yield what it writes from now on; any number of readers may attach, each at its own pace (see `logs`).

        Raises:
            NotLogged: none of its streams is logged.
        """
        return read_log(self._record, tail=0, follow=True)

    async def kill(self, signal: int) -> None:
        """Send a signal to its init; nothing happens when it has ended."""
        await self._process.kill(signal)

    async def resize(self, columns: int, rows: int) -> None:
        """Give its terminal another size; nothing happens when it has ended.

        Raises:
            InvalidTerminalSize: a side is negative or more than 65535.
            NoTerminal: it has none.
        """
        await self._process.resize(columns, rows)

    async def stop(self, grace_seconds: float | None = None) -> ExitStatus:
        """Ask it to end with its image's stop signal, and kill it after the grace (the spec's, when None).

        Its pre-stop command, when it has one, comes first. Stopping a stopped container returns its status again.
        It stays in the pod, with its files, and the pod's restart policy leaves it so.
        """
        self._record.stop_asked.set()
        grace = self._record.spec.grace_seconds if grace_seconds is None else grace_seconds
        status, _ = await stop_container(self._pod, self._record, grace)
        return status

    async def restart(self) -> None:
        """Run its command again, after it has ended, on the files that it left.

        Raises:
            IllegalTransition: it has not ended.
            StartFailed: and its subclasses: it stays ended.
        """
        await restart_container(self._pod, self._record)

    async def exec(
        self,
        *args: str,
        env: Mapping[str, str] | None = None,
        working_dir: str | None = None,
        user: str | int | None = None,
        stdin: Stdio = Stdio.NULL,
        stdout: Stdio = Stdio.PIPED,
        stderr: Stdio | None = None,
        tty: bool = False,
        size: tuple[int, int] = (80, 24),
    ) -> Process:
        """Run a further process in it, with the environment, directory and user of its own unless given here.

        With `tty` it gets a pseudo terminal of `size`, columns and rows; then all of its output arrives on stdout,
        and `stderr`, which is piped otherwise unless given, leads nowhere.

        Raises:
            InvalidArgument: it cannot be run so.
            ContainerNotRunning: its init does not run.
            StartFailed: and its subclasses: the process cannot start.
        """
        return await start_exec(
            self._pod,
            self._record,
            args,
            env=env,
            working_dir=working_dir,
            user=None if user is None else str(user),
            stdio=StdioOptions(stdin, stdout, stderr or (Stdio.NULL if tty else Stdio.PIPED)),
            terminal=TerminalSize(*size) if tty else None,
        )

    async def copy_in(
        self,
        host_path: str | os.PathLike[str],
        guest_path: str,
        *,
        keep_ownership: bool = False,
        create_parents: bool = False,
    ) -> CopyReport:
        """Copy a file, or a directory with everything below it, from the host into the container.

        A directory that exists takes the source in, under the source's name unless `host_path` ends in `/.`; a name
        that is free becomes the source's new name. Modes, times, symlinks, hard links and extended attributes are
        kept. Everything belongs to the container's user, or, with `keep_ownership`, to the same numbers as on the
        host; only then set-user-id and set-group-id bits are kept, too. The container sees the copy in its own view:
        in its volumes, and in what is mounted in it.

        Raises:
            CopyFailed: the source is missing, or something is in the way; each file copied before is whole.
            PathRefused, UserUnknown, StoreFull: the container's side cannot take it.
        """
        return await copied_in(
            self._pod,
            self._record,
            host_path,
            guest_path,
            keep_ownership=keep_ownership,
            create_parents=create_parents,
        )

    async def copy_out(
        self, guest_path: str, host_path: str | os.PathLike[str], *, keep_ownership: bool = False
    ) -> CopyReport:
        """Copy a file, or a directory with everything below it, from the container to the host, by the same rules.

        Everything belongs to the caller, unless `keep_ownership`. Nothing is written outside `host_path`, whatever
        the container holds; devices, sockets and named pipes are left out, and named in the report.

        Raises:
            CopyFailed: the source is missing, or something is in the way; each file copied before is whole.
            PathRefused: `guest_path` leads through links that must not be followed.
        """
        return await copied_out(self._pod, self._record, guest_path, host_path, keep_ownership=keep_ownership)

    async def stats(self) -> ContainerStatistics:
        """What it uses now; fields are None where the machine does not tell.

        Raises:
            ContainerNotFound: the sandbox does not know it (any more).
        """
        return await read_statistics(self._pod, self._record)

    def stats_stream(self, interval_seconds: float = 1.0) -> AsyncIterator[ContainerStatistics]:
        """What it uses, at once and then every `interval_seconds`, until it has ended.

        Raises:
            InvalidArgument: the interval is not positive.
        """
        return statistics_stream(self._pod, self._record, interval_seconds)

    async def processes(self) -> tuple[ProcessEntry, ...]:
        """Its processes, those of its execs among them, by pid; none once it has ended.

        Raises:
            UnsupportedFeature: the guest agent cannot list processes.
        """
        return await list_processes(self._pod, self._record)

    def __repr__(self) -> str:
        return f"<Container {self.id} {self.state}>"
