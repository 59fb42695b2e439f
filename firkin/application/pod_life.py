"""The life of a pod, from boot to the end, in one task.

Whatever is acquired is released by the one stack of that task, in reverse order: on failure at any step, on
cancellation, and on a normal stop. The task is what makes this hold no matter which tasks open and stop the pod.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from firkin.domain.errors import FirkinError, UnsupportedFeature
from firkin.domain.events import PodStartFailed
from firkin.domain.host_paths import HOST_PATHS
from firkin.domain.lifecycle import PodEvent
from firkin.domain.pod_spec import PodSpec
from firkin.domain.reports import Promise, StopReport
from firkin.ports.agent_connector import AgentConnector
from firkin.ports.agent_templates import ProgressCallback
from firkin.ports.log_keeper import LogKeeper
from firkin.ports.spawn_observer import ContainerStart, SpawnObserver, SpawnReport
from firkin.ports.store import PodStore, TemplateHolder
from firkin.ports.vmm import SandboxRequest, Vmm

from .empty_dir_write import write_volume_files
from .init_containers import run_init_containers
from .initial_containers import start_initial_containers
from .open_pod import MountedPodStore, OpenPod, host_name
from .pod_shutdown import emptied
from .runtime_events import RuntimeEvents
from .stages import Stages
from .task_scope import TaskScope, finished, joined
from .templates import Templates


class PodPorts(msgspec.Struct, frozen=True):
    """What a pod's life needs from the world."""

    vmm: Vmm
    store: PodStore
    agents: AgentConnector
    templates: Templates
    start_concurrency: int
    events: RuntimeEvents
    observer: SpawnObserver | None = None
    logs: LogKeeper | None = None


class StopRequest(msgspec.Struct, frozen=True):
    """How a pod is to be stopped: the grace for each container (its own, when None), and whether to trim."""

    grace_seconds: float | None = None
    trim: bool = False


class PodLife:
    """Opens a pod, keeps it, and ends it."""

    def __init__(self, spec: PodSpec, ports: PodPorts, scope: TaskScope, progress: ProgressCallback | None) -> None:
        self._spec = spec
        self._ports = ports
        self._progress = progress
        self._stages = Stages()
        self._starts: list[ContainerStart] = []
        self._began_unix_seconds = time.time()
        loop = asyncio.get_running_loop()
        self._opened: asyncio.Future[OpenPod] = loop.create_future()
        self._stop_asked: asyncio.Future[StopRequest] = loop.create_future()
        self._task = scope.start(self._live(), f"pod {spec.id}")
        self._task.add_done_callback(self._over)

    @property
    def is_over(self) -> bool:
        """True once nothing of the pod is left."""
        return self._task.done()

    async def opened(self) -> OpenPod:
        """Wait until the pod runs; when the wait is cancelled, the pod is ended before the cancellation goes on."""
        try:
            return await asyncio.shield(self._opened)
        except asyncio.CancelledError:
            self._opened.cancel()
            self._task.cancel()
            with contextlib.suppress(FirkinError):
                await finished(self._task)
            raise

    @property
    def stage_seconds(self) -> Mapping[str, float]:
        """What the stages of spawning took, in order."""
        return dict(self._stages.seconds)

    def _over(self, task: asyncio.Task[StopReport]) -> None:
        self._ports.events.leave(self._spec.id)
        if self._opened.done():
            if not self._opened.cancelled() and self._opened.exception() is None:
                self._opened.result().events.close()
            return
        error = None if task.cancelled() else task.exception()
        if error is None:
            self._opened.cancel()
        else:
            self._opened.set_exception(error)

    async def ended(self, request: StopRequest) -> StopReport:
        """Stop the pod, or join the stop that is under way, and return what happened.

        Cancelling this call leaves the stop going on; whoever calls again joins it.
        """
        if not self._stop_asked.done():
            self._stop_asked.set_result(request)
        return await joined(self._task)

    async def closed(self, request: StopRequest) -> StopReport:
        """Stop the pod and wait until nothing of it is left, even when cancelled: then every grace ends at once."""
        try:
            return await self.ended(request)
        except asyncio.CancelledError:
            if self._opened.done() and not self._opened.cancelled() and self._opened.exception() is None:
                self._opened.result().hurry_up()
            await finished(self._task)
            raise

    async def _live(self) -> StopReport:
        begun = 0.0
        report = StopReport()
        problems: list[str] = []
        try:
            async with contextlib.AsyncExitStack() as stack:
                pod = await self._open(stack)
                self._opened.set_result(pod)
                self._spawned(pod)
                request = await self._stop_asked
                begun = time.perf_counter()
                pod.lifecycle.apply(PodEvent.STOP_BEGUN)
                report = await emptied(pod, request.grace_seconds, trim=request.trim)
        except FirkinError as error:
            if not begun:
                self._failed_to_spawn(error.after(self.stage_seconds))
                raise error.during("spawn pod", pod_id=self._spec.id) from error.__cause__
            # The pod is stopping anyway; what its sandbox or store could not release belongs in the report.
            problems.append(str(error))
        pod.lifecycle.apply(PodEvent.STOPPED)
        return replace(report, problems=(*report.problems, *problems), seconds=time.perf_counter() - begun)

    def _spawned(self, pod: OpenPod) -> None:
        pod.events.pod_started(self.stage_seconds)
        self._observed("")

    def _failed_to_spawn(self, error: FirkinError) -> None:
        how_far = (error.failed_stage, dict(error.stage_seconds))
        self._ports.events.publish(self._spec.id, PodStartFailed(time.time(), error.code, *how_far))
        self._observed(error.code)

    def _observed(self, error: str) -> None:
        if self._ports.observer is not None:
            began, starts = self._began_unix_seconds, tuple(self._starts)
            self._ports.observer.pod_spawned(SpawnReport(self._spec.id, began, self.stage_seconds, error, starts))

    async def _open(self, stack: contextlib.AsyncExitStack) -> OpenPod:
        spec, ports = self._spec, self._ports
        if spec.host_paths:
            _require_host_paths(ports.vmm)
        stage = self._stages.stage
        with stage("store"):
            medium = await stack.enter_async_context(ports.store.opened(spec.pod_store, spec.id))
        request = SandboxRequest(spec.id, spec.vm_config, medium, host_name(spec), spec.resources, spec.host_paths)
        with stage("boot"):
            sandbox = await stack.enter_async_context(ports.vmm.booted(request))
        with stage("agent"):
            boot_timeout = spec.vm_config.boot_timeout_seconds
            agent = await stack.enter_async_context(ports.agents.connected(sandbox, boot_timeout))
        scope = TaskScope()
        store = MountedPodStore(spec.pod_store, medium)
        pod = OpenPod(spec, store, sandbox, agent, scope, ports.templates, ports.start_concurrency, ports.logs)
        pod.starts = self._starts
        stack.push_async_callback(scope.aclose)
        stack.push_async_callback(pod.port_forwards.aclose)
        pod.template_holder = ports.store if isinstance(ports.store, TemplateHolder) else None
        pod.progress = self._progress
        ports.events.follow(pod)
        pod.lifecycle.apply(PodEvent.BOOT_BEGUN)
        with stage("agent"):
            pod.agent_info = await agent.info()
        pod.lifecycle.apply(PodEvent.AGENT_ANSWERED)
        stack.push_async_callback(_emptied_unless_stopped, pod)
        with stage("mount"):
            await agent.prepare_pod(pod.preparation)
        pod.lifecycle.apply(PodEvent.STORE_PREPARED)
        with stage("volumes"):
            await write_volume_files(pod)
        pod.lifecycle.apply(PodEvent.VOLUMES_PREPARED)
        scope.start(_watch(pod), f"watch sandbox of {spec.id}")
        await pod.events.agent_told()
        if spec.port_forwards:
            with stage("ports"):
                for forward in spec.port_forwards:
                    await pod.port_forwards.opened(forward)
        with stage("init containers"):
            await run_init_containers(pod)
        with stage("containers"):
            await start_initial_containers(pod)
        pod.lifecycle.apply(PodEvent.CONTAINERS_STARTED)
        return pod


def _require_host_paths(vmm: Vmm) -> None:
    """Refuse them where the kind of sandbox does not promise to show them."""
    promises = {one.name: one for one in vmm.capabilities().promises}
    promised = promises.get(HOST_PATHS)
    if promised is None or promised.promise is Promise.UNAVAILABLE:
        reason = promised.reason if promised is not None else "this kind of sandbox shows nothing of the host"
        raise UnsupportedFeature("a hostPath volume", reason).in_stage("boot")


async def _emptied_unless_stopped(pod: OpenPod) -> None:
    """Undo of everything that was made in the sandbox, for a pod that failed to open or was cancelled."""
    if pod.lifecycle.can(PodEvent.STOP_BEGUN):
        pod.lifecycle.apply(PodEvent.STOP_BEGUN)
        await emptied(pod, 0, trim=False)


async def _watch(pod: OpenPod) -> None:
    pod.sandbox_died(await pod.sandbox.wait_ended())
