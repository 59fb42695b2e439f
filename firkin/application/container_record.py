"""What a pod knows of one container, and its table of all of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Protocol

from firkin.domain.container_spec import PodContainerSpec
from firkin.domain.errors import ContainerExists, ContainerNotFound
from firkin.domain.ids import ContainerId, PodId
from firkin.domain.lifecycle import ContainerEvent, ContainerPhase, container_lifecycle
from firkin.domain.process import ContainerStartupTiming, ExitStatus
from firkin.domain.reports import ContainerStopReport
from firkin.ports.log_keeper import LogKeeper

from .container_plan import ContainerPlan
from .log_recorder import LogRecorder
from .running_process import RunningProcess
from .stages import Stages


class ContainerRecord:
    """One container from the moment its id is reserved until it is removed.

    Attributes:
        spec: as the caller gave it.
        plan: what is to run where; None until its template exists.
        lifecycle: where it is in its life.
        process: its init, the latest one when it was restarted; None before the first start.
        execs: its further processes, by process id.
        step: the step of its add that is under way, so that a shutdown can end it.
        removal: the removal that is under way; whoever wants it gone waits for the same one.
        stages: of its latest start, with `began_unix_seconds`, when that began.
        is_in_sandbox: whether the agent was ever asked to make anything of it.
        is_add_over: whether its add was committed.
        on_readiness: told whenever it becomes ready, or is not any more.
        came_up: done once it has run and its startup probe, if any, has succeeded.
        last_status: how it ended last; None before that, and when that could not be learned.
        killed_because: why a probe had its latest run stopped; "" for no probe.
        restart_count: how often the pod's policy has started it again.
        stop_asked: set once somebody wants it to stay ended.
        finished: done when no policy will start it again; None when there is no such policy.
        log: what it has written to streams that are logged, over all starts; None when none of them is.
        next_start: done when it is started the next time.
    """

    def __init__(self, spec: PodContainerSpec, log: LogRecorder | None = None) -> None:
        self.spec = spec
        self.plan: ContainerPlan | None = None
        self.lifecycle = container_lifecycle(spec.id)
        self.process: RunningProcess | None = None
        self.execs: dict[str, RunningProcess] = {}
        self.step: asyncio.Task[object] | None = None
        self.removal: asyncio.Task[ContainerStopReport] | None = None
        self.begin_start()
        self.is_in_sandbox = False
        self.is_add_over = False
        self._is_ready = False
        self.on_readiness: Callable[[bool], None] | None = None
        self.came_up: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.last_status: ExitStatus | None = None
        self.killed_because = ""
        self.restart_count = 0
        self.stop_asked = asyncio.Event()
        self.finished: asyncio.Future[None] | None = None
        self.log = log
        self.next_start: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def begin_start(self) -> None:
        """Measure from now on what the stages of a start take."""
        self.stages = Stages()
        self.began_unix_seconds = time.time()

    @property
    def timing(self) -> ContainerStartupTiming:
        """What the latest start took."""
        return ContainerStartupTiming.from_stages(self.stages.seconds, self.stages.total_seconds)

    @property
    def id(self) -> ContainerId:
        """The container's id."""
        return self.spec.id

    @property
    def phase(self) -> ContainerPhase:
        """Where it is in its life."""
        return self.lifecycle.phase

    @property
    def is_committed(self) -> bool:
        """True once the container's add is over, until it is removed."""
        return self.is_add_over and self.phase not in (ContainerPhase.REMOVING, ContainerPhase.REMOVED)

    @property
    def is_ready(self) -> bool:
        """Whether its startup and readiness probes say so; True without them."""
        return self._is_ready

    @is_ready.setter
    def is_ready(self, is_ready: bool) -> None:
        changed, self._is_ready = is_ready != self._is_ready, is_ready
        if changed and self.on_readiness is not None:
            self.on_readiness(is_ready)

    def run(self, process: RunningProcess) -> None:
        """Take over a process that was started, and follow it to its end."""
        self.process = process
        self.killed_because = ""
        self.lifecycle.apply(ContainerEvent.PROCESS_STARTED)
        process.exit.add_done_callback(lambda _: self._ended(process))
        started, self.next_start = self.next_start, asyncio.get_running_loop().create_future()
        started.set_result(None)

    def has_come_up(self) -> None:
        """Note that it runs, and that its startup probe has succeeded."""
        if not self.came_up.done():
            self.came_up.set_result(None)

    def finish(self) -> None:
        """Note that no policy will start it again."""
        if self.finished is not None and not self.finished.done():
            self.finished.set_result(None)

    def _ended(self, process: RunningProcess) -> None:
        if process is self.process:
            self.is_ready = False
            failed = process.exit.cancelled() or process.exit.exception() is not None
            self.last_status = self.last_status if failed else process.exit.result()
        if process is self.process and self.lifecycle.can(ContainerEvent.EXITED):
            self.lifecycle.apply(ContainerEvent.EXITED)


class ContainerListener(Protocol):
    """Who is told how containers go on."""

    def container_phase(self, container_id: ContainerId, phase: ContainerPhase, /) -> None: ...

    def container_readiness(self, container_id: ContainerId, is_ready: bool, /) -> None: ...


class ContainerTable:
    """The containers of a pod, in the order in which their ids were reserved."""

    def __init__(self, pod_id: PodId, listener: ContainerListener, logs: LogKeeper | None = None) -> None:
        """`logs` keeps what containers log beyond the life of this process."""
        self._pod_id = pod_id
        self._listener = listener
        self._logs = logs
        self._records: dict[ContainerId, ContainerRecord] = {}

    def __iter__(self) -> Iterator[ContainerRecord]:
        return iter(tuple(self._records.values()))

    def removal_of(self, container_id: ContainerId) -> asyncio.Task[ContainerStopReport] | None:
        """The removal of this container that is under way, if any."""
        record = self._records.get(container_id)
        return None if record is None else record.removal

    def reserve(self, spec: PodContainerSpec) -> ContainerRecord:
        """Take the id for a new container.

        Raises:
            ContainerExists: the id is taken.
        """
        if spec.id in self._records:
            raise ContainerExists(self._pod_id, spec.id)
        record = self._records[spec.id] = ContainerRecord(spec, self._recorder(spec))
        record.lifecycle.observe(partial(self._listener.container_phase, spec.id))
        record.on_readiness = partial(self._listener.container_readiness, spec.id)
        return record

    def _recorder(self, spec: PodContainerSpec) -> LogRecorder | None:
        if not spec.stdio.logged:
            return None
        kept = None if self._logs is None else self._logs.opened(self._pod_id, spec.id, spec.log_max_bytes)
        return LogRecorder(spec.log_max_bytes, kept)

    def find(self, container_id: str) -> ContainerRecord | None:
        """The record of this id, whatever its phase."""
        return self._records.get(ContainerId(container_id))

    def committed(self, container_id: str) -> ContainerRecord:
        """The record of a container whose add is over.

        Raises:
            ContainerNotFound: there is none.
            InvalidId: the id breaks the rule of ids.
        """
        record = self.find(container_id)
        if record is None or not record.is_committed:
            raise ContainerNotFound(self._pod_id, container_id)
        return record

    def forget(self, record: ContainerRecord) -> None:
        """Free the id of a container that is removed."""
        if self._records.get(record.id) is record:
            del self._records[record.id]
