"""What can be done with a long-lived pod from another process than its supervisor."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import msgspec

from firkin.domain.copying import CopyReport
from firkin.domain.ids import ContainerId, PodId
from firkin.domain.output_log import LogEntry
from firkin.domain.process import ExitStatus
from firkin.domain.statistics import ContainerStatistics
from firkin.domain.supervised_pod import PodRecord
from firkin.domain.terminal import TerminalSize

from .pod_registry import ClaimedPod


class ExecRequest(msgspec.Struct, frozen=True):
    """A further process in a container.

    Attributes:
        environment: variables beside the container's own.
        working_dir, user: the container's own when None.
        has_stdin: whether input will be sent.
        terminal: the size of its terminal; None for none.
    """

    container_id: ContainerId
    args: tuple[str, ...]
    environment: tuple[tuple[str, str], ...] = ()
    working_dir: str | None = None
    user: str | None = None
    has_stdin: bool = False
    terminal: TerminalSize | None = None


class CopyRequest(msgspec.Struct, frozen=True):
    """A copy between the host, where paths are absolute, and a container; `Container.copy_in` has the rules."""

    container_id: ContainerId
    host_path: str
    guest_path: str
    keep_ownership: bool = False


class OutputPiece(msgspec.Struct, frozen=True):
    """Bytes that a process wrote to `stdout` or `stderr`."""

    stream: str
    data: bytes


class AttachedProcess(Protocol):
    """The streams of a process that runs in the pod."""

    async def write(self, data: bytes) -> None:
        """Hand input on, waiting while the process does not read; what comes after its end is dropped."""
        ...

    async def end_input(self) -> None:
        """There will be no more input; twice is fine."""
        ...

    async def resize(self, size: TerminalSize) -> None:
        """Give its terminal another size."""
        ...

    async def kill(self, signal: int) -> None:
        """Send it a signal."""
        ...

    def output(self) -> AsyncIterator[OutputPiece]:
        """What it writes, to the end; to be read by one reader, once."""
        ...

    async def wait(self) -> ExitStatus:
        """How it ended; to be asked after the end of `output`."""
        ...


class ExecutedProcess(AttachedProcess, Protocol):
    """A process that was started for its caller."""

    async def detach(self) -> None:
        """Let it run on when its caller leaves, but no longer than its container: `output` then ends.

        What it writes from then on is dropped, and its input stays open. How it ends, nobody is told.
        """
        ...


class PodControl(Protocol):
    """Drives one pod. What needs a running pod waits while it starts."""

    async def stop(self, grace_seconds: float | None = None) -> PodRecord:
        """End the pod, each container within the grace (its own when None), and return how it ended.

        A pod that is starting is given up. Stopping twice joins the first stop; a grace of 0 ends that one's graces.
        """
        ...

    async def wait(self) -> PodRecord:
        """Wait until nothing of the pod is left, and return how it ended."""
        ...

    async def kill(self, container_ids: tuple[ContainerId, ...], signal: int) -> None:
        """Send a signal to these containers.

        Raises:
            ContainerNotFound: there is no such container.
        """
        ...

    def logs(
        self, container_id: ContainerId, since: float | None = None, tail: int | None = None
    ) -> AsyncIterator[LogEntry]:
        """What is kept of a container's output, as `LogKeeper.entries` has it, and what comes until it has ended."""
        ...

    def executed(self, request: ExecRequest) -> AbstractAsyncContextManager[ExecutedProcess]:
        """Run a process; leaving kills it when it still runs and was not detached.

        Raises:
            ContainerNotFound, ContainerNotRunning, InvalidArgument: it cannot be run.
            StartFailed: and its subclasses: it could not be started.
        """
        ...

    def attached(self, container_id: ContainerId, *, with_input: bool) -> AbstractAsyncContextManager[AttachedProcess]:
        """Join a container's init: its output from now on. Leaving leaves it running.

        Raises:
            NoStandardInput: `with_input`, and it was started without.
            ContainerNotFound, NotLogged: it cannot be joined.
        """
        ...

    async def copy_in(self, request: CopyRequest) -> CopyReport:
        """Copy from the host into a container."""
        ...

    async def copy_out(self, request: CopyRequest) -> CopyReport:
        """Copy from a container to the host."""
        ...

    def statistics(self, interval_seconds: float) -> AsyncIterator[tuple[ContainerStatistics, ...]]:
        """What the containers that run use, at once and then every so often, until the pod has ended."""
        ...


class ControlServer(Protocol):
    """Lets other processes of the same user drive a pod."""

    def serving(self, control: PodControl, claimed: ClaimedPod) -> AbstractAsyncContextManager[None]:
        """Answer until it is left; calls that are under way then have a moment to get their answers."""
        ...


class ControlConnector(Protocol):
    """Finds the supervisors of pods."""

    def connected(self, pod_id: PodId) -> AbstractAsyncContextManager[PodControl]:
        """Speak with a pod's supervisor.

        Raises:
            PodNotFound: there is no such pod.
            PodOver, SupervisorDied: nobody runs it any more.
            SupervisorUnreachable: its supervisor does not answer.
        """
        ...
