"""A long-lived pod as others may drive it: keeps the port PodControl in the process that runs the pod."""

from __future__ import annotations

import asyncio
import contextlib
import signal as signals
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from firkin.domain.copying import CopyReport
from firkin.domain.errors import FirkinError, NoStandardInput, PodOver, SandboxDied
from firkin.domain.ids import ContainerId
from firkin.domain.lifecycle import ContainerPhase
from firkin.domain.output_log import LogEntry
from firkin.domain.process import Stdio
from firkin.domain.reports import SandboxExit, StopReport
from firkin.domain.statistics import ContainerStatistics
from firkin.domain.supervised_pod import PodRecord
from firkin.ports.pod_control import CopyRequest, ExecRequest

from .attached_process import ExecutedProcess, JoinedContainer
from .pod import Pod
from .task_scope import TaskScope


class SupervisedPod:
    """One pod, from before its boot to after its end; `Supervision` tells it how far the pod is.

    Attributes:
        given_up: done once somebody wants the pod to end.
        sandbox_end: why the sandbox ended by itself; "" when it did not.
    """

    def __init__(self, record: PodRecord) -> None:
        loop = asyncio.get_running_loop()
        self._id = record.id
        self._opened: asyncio.Future[Pod] = loop.create_future()
        self._ended: asyncio.Future[PodRecord] = loop.create_future()
        self.given_up: asyncio.Future[float | None] = loop.create_future()
        self.sandbox_end = ""

    def opened(self, pod: Pod) -> None:
        """The pod runs."""
        self._opened.set_result(pod)

    def ended(self, record: PodRecord) -> None:
        """Nothing of the pod is left."""
        self._ended.set_result(record)
        if not self._opened.done():
            self._opened.set_exception(PodOver(record.id, record.phase))
            self._opened.exception()  # it need not interest anybody

    def give_up(self) -> None:
        """Let the pod end, with the graces of its containers; twice is fine."""
        if not self.given_up.done():
            self.given_up.set_result(None)

    async def wait_stop_asked(self) -> float | None:
        """Wait until the pod is to end: asked, or by itself; tells the grace that was asked for."""
        pod, scope = await self._opened, TaskScope()
        try:
            over = scope.start(_all_finished(pod), "wait for all containers")
            died = scope.start(pod.vm.wait_ended(), "wait for the sandbox")
            ends: set[asyncio.Future[str] | asyncio.Future[SandboxExit] | asyncio.Future[float | None]]
            ends = {over, died, self.given_up}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            reason = died.result().reason if died.done() else over.result() if over.done() else ""
            if reason and not self.given_up.done():
                self.sandbox_end = f"its sandbox died: {reason}"
        finally:
            await scope.aclose()
        return self.given_up.result() if self.given_up.done() else None

    async def stopped(self, pod: Pod, grace_seconds: float | None) -> StopReport:
        """End the pod."""
        self.give_up()
        return await pod.stop(grace_seconds)

    @property
    def is_starting(self) -> bool:
        """True until the pod runs, or will not."""
        return not self._opened.done()

    async def _pod(self) -> Pod:
        if self._ended.done():
            raise PodOver(self._id, self._ended.result().phase)
        return await asyncio.shield(self._opened)

    async def stop(self, grace_seconds: float | None = None) -> PodRecord:
        """End the pod; see `firkin.ports.pod_control`."""
        if not self.given_up.done():
            self.given_up.set_result(grace_seconds)
        elif grace_seconds == 0 and self._opened.done() and not self._ended.done():
            pod = self._opened.result()
            await asyncio.gather(*(one.kill(signals.SIGKILL) for one in pod.containers()), return_exceptions=True)
        return await self.wait()

    async def wait(self) -> PodRecord:
        """Wait until nothing of the pod is left."""
        return await asyncio.shield(self._ended)

    async def kill(self, container_ids: tuple[ContainerId, ...], signal: int) -> None:
        """Send a signal to these containers."""
        pod = await self._pod()
        for container in [pod.container(name) for name in container_ids]:
            await container.kill(signal)

    async def logs(
        self, container_id: ContainerId, since: float | None = None, tail: int | None = None
    ) -> AsyncIterator[LogEntry]:
        """What is kept of a container's output, and what comes until it has ended."""
        container = (await self._pod()).container(container_id)
        moment = None if since is None else datetime.fromtimestamp(since, UTC)
        async for entry in container.logs(since=moment, tail=tail, follow=True):
            yield entry

    @contextlib.asynccontextmanager
    async def executed(self, request: ExecRequest) -> AsyncIterator[ExecutedProcess]:
        """Run a process; see `firkin.ports.pod_control`."""
        container = (await self._pod()).container(request.container_id)
        terminal = request.terminal
        process = await container.exec(
            *request.args,
            env=dict(request.environment),
            working_dir=request.working_dir,
            user=request.user,
            stdin=Stdio.PIPED if request.has_stdin else Stdio.NULL,
            tty=terminal is not None,
            size=(80, 24) if terminal is None else (terminal.columns, terminal.rows),
        )
        async with process, ExecutedProcess(process) as attached:
            yield attached

    @contextlib.asynccontextmanager
    async def attached(self, container_id: ContainerId, *, with_input: bool) -> AsyncIterator[JoinedContainer]:
        """Join a container's init; see `firkin.ports.pod_control`."""
        container = (await self._pod()).container(container_id)
        if with_input and container.stdin is None:
            raise NoStandardInput(container_id)
        yield JoinedContainer(container)

    async def copy_in(self, request: CopyRequest) -> CopyReport:
        """Copy from the host into a container."""
        container = (await self._pod()).container(request.container_id)
        return await container.copy_in(request.host_path, request.guest_path, keep_ownership=request.keep_ownership)

    async def copy_out(self, request: CopyRequest) -> CopyReport:
        """Copy from a container to the host."""
        container = (await self._pod()).container(request.container_id)
        return await container.copy_out(request.guest_path, request.host_path, keep_ownership=request.keep_ownership)

    async def statistics(self, interval_seconds: float) -> AsyncIterator[tuple[ContainerStatistics, ...]]:
        """What the containers that run use, at once and then every so often, until the pod has ended."""
        pod = await self._pod()
        while not self._ended.done():
            running = {one.id for one in pod.containers() if one.state is ContainerPhase.RUNNING}
            try:
                told = tuple(one for one in await pod.stats() if one.container_id in running)
            except FirkinError:
                if self.given_up.done():
                    return
                raise
            # Of a pod that was to end meanwhile, the sandbox may have told a part only.
            if self.given_up.done():
                return
            yield told
            await asyncio.wait({self._ended}, timeout=interval_seconds)


async def _all_finished(pod: Pod) -> str:
    """Wait for all that are to end; sidecars end with them. Tells why the sandbox died, "" when it did not."""
    reason = ""
    for container in (one for one in pod.containers() if not one.spec.is_sidecar):
        try:
            await container.wait_finished()
        except SandboxDied as error:
            reason = error.reason
        except FirkinError:
            continue  # how it ended could not be learned; that it did is all that counts here
    return reason
