"""The life of a pod that outlives the command that started it: its supervisor writes it down and lets it be driven."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable

from msgspec.structs import replace

from firkin.domain.pod_spec import PodSpec
from firkin.domain.reports import StopReport
from firkin.domain.supervised_pod import PodRecord, SupervisedPhase
from firkin.ports.agent_templates import ProgressCallback
from firkin.ports.pod_control import ControlServer
from firkin.ports.pod_registry import ClaimedPod

from .pod import Pod
from .pod_events import EventStream
from .pod_summary import forwarded_ports, planned_containers, summarised, with_end
from .runtime import Runtime
from .supervised_pod import SupervisedPod
from .task_scope import TaskScope


class Supervision:
    """Runs one pod, whose place in the registry it holds."""

    def __init__(
        self, claimed: ClaimedPod, record: PodRecord, server: ControlServer, on_running: Callable[[], None]
    ) -> None:
        """`on_running` is called once all containers have been started."""
        self._claimed = claimed
        self._record = record
        self._server = server
        self._on_running = on_running
        self.control = SupervisedPod(record)
        self._is_saved = True

    async def run(self, runtime: Runtime, spec: PodSpec, progress: ProgressCallback | None = None) -> PodRecord:
        """Spawn the pod, keep it until it has ended or is stopped, and return what was written down last.

        Raises:
            FirkinError: it did not come up; that is written down as well, and nothing of it is left.
        """
        self._save(containers=planned_containers(spec))
        async with self._server.serving(self.control, self._claimed):
            scope = TaskScope()
            try:
                await self._lived(scope.start(self._live(runtime, spec, progress), f"supervise {spec.id}"))
            except Exception as error:
                self._save(phase=SupervisedPhase.FAILED, ended=time.time(), problem=str(error))
                raise
            finally:
                await scope.aclose()
                self._save()
                self.control.ended(self._record)
        return self._record

    async def _lived(self, life: asyncio.Task[None]) -> None:
        """Wait for the end of the pod, or, while it is starting, for somebody who gives it up."""
        ends: set[asyncio.Future[None] | asyncio.Future[float | None]] = {life, self.control.given_up}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        if not life.done() and self.control.is_starting:
            life.cancel()
            await asyncio.wait({life})
        await asyncio.wait({life})
        if not life.cancelled():
            return life.result()
        self._save(phase=SupervisedPhase.EXITED, ended=time.time(), problem="it was stopped while it was starting")

    async def _live(self, runtime: Runtime, spec: PodSpec, progress: ProgressCallback | None) -> None:
        async with runtime.spawn(spec, progress=progress) as pod:
            events = pod.events()
            ports = forwarded_ports(pod)
            self._save(phase=SupervisedPhase.RUNNING, started=time.time(), sandbox_id=pod.vm.id, ports=ports)
            self._update(pod)
            self._on_running()
            self.control.opened(pod)
            scope = TaskScope()
            try:
                scope.start(self._follow(pod, events), "follow the pod's events")
                grace_seconds = await self.control.wait_stop_asked()
            finally:
                await scope.aclose()
            self._update(pod)
            self._save(phase=SupervisedPhase.STOPPING)
            report = await self.control.stopped(pod, grace_seconds)
            self._end(pod, report)

    def _end(self, pod: Pod, report: StopReport) -> None:
        containers = with_end(self._record.containers, report)
        reason = self.control.sandbox_end
        # What ended for want of the sandbox says so as well.
        others = [problem for problem in report.problems if not reason or problem not in reason]
        problem = "; ".join([*([reason] if reason else []), *others])
        phase = SupervisedPhase.FAILED if reason else SupervisedPhase.EXITED
        self._save(phase=phase, ended=time.time(), containers=containers, problem=problem)

    async def _follow(self, pod: Pod, events: EventStream) -> None:
        async for _ in events:
            self._update(pod)

    def _update(self, pod: Pod) -> None:
        self._save(containers=summarised(pod))

    def _save(self, **changes: object) -> None:
        changed = replace(self._record, **changes)
        if changed == self._record and self._is_saved:
            return
        self._record = changed
        # A pod goes on, and ends in order, where there is no space to tell of it: what was not written down is written
        # with the next change, or once the pod has gone and its space is free.
        self._is_saved = False
        with contextlib.suppress(OSError):
            self._claimed.save(changed)
            self._is_saved = True
