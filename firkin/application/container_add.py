"""Adding a container in two phases, so that a caller can prepare many and start them when it likes.

Each handle is an async context manager: leaving it without a commit undoes what was done, whether the body
failed, was cancelled, or just did not commit. A step that fails undoes the whole add at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

from firkin.domain.container_spec import PodContainerSpec
from firkin.domain.errors import ContainerNotPending, FirkinError, InvalidPodSpec, PodNotRunning, UnsupportedFeature
from firkin.domain.ids import ContainerId
from firkin.domain.image import ImageBundle
from firkin.domain.lifecycle import ContainerEvent, ContainerPhase
from firkin.domain.probes import port_actions
from firkin.domain.process import ContainerStartupTiming
from firkin.domain.validation import container_problems
from firkin.ports.agent_containers import OverlayRequest
from firkin.ports.agent_network import PORT_CHECKS

from .container_launch import launch
from .container_plan import bundle_of, planned_container
from .container_record import ContainerRecord
from .container_removal import removal, remove_leftover
from .open_pod import OpenPod
from .restart_policy import supervise
from .task_scope import finished

T = TypeVar("T")


class _ContainerAdd:
    """An add under way: the one record behind the three handles."""

    def __init__(self, pod: OpenPod, record: ContainerRecord) -> None:
        self._pod = pod
        self._record = record

    @property
    def id(self) -> ContainerId:
        """The container's id, reserved until the add is committed or aborted."""
        return self._record.id

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._record.is_add_over:
            await undone(self._pod, self._record)

    async def _step(self, label: str, work: Coroutine[Any, Any, T]) -> T:
        return await run_step(self._pod, self._record, label, work)


class PendingContainerAdd(_ContainerAdd):
    """A container whose id is reserved and whose template exists."""

    async def prepare(self) -> PreparedContainerAdd:
        """Make and mount the container's root filesystem.

        Raises:
            StoreFull, AgentError, PodNotRunning: the add is undone.
        """
        await self._step("prepare pod container overlay", self._prepared())
        return PreparedContainerAdd(self._pod, self._record)

    async def start(self) -> StartedContainerAdd:
        """Prepare and start in one round trip to the agent.

        Raises:
            StartFailed: and its subclasses, StoreFull, PodNotRunning: the add is undone.
        """
        plan = self._record.plan
        overlay = None if plan is None else plan.overlay
        await self._step("start pod container", _started(self._pod, self._record, overlay))
        return StartedContainerAdd(self._pod, self._record)

    async def _prepared(self) -> None:
        record = self._record
        with record.stages.stage("overlay"):
            if record.plan is not None and record.plan.overlay is not None:
                record.is_in_sandbox = True
                await self._pod.agent.prepare_overlay(record.plan.overlay)
        record.lifecycle.apply(ContainerEvent.ROOTFS_PREPARED)


class PreparedContainerAdd(_ContainerAdd):
    """A container whose root filesystem is mounted."""

    async def start(self) -> StartedContainerAdd:
        """Start the container's init; returns once its command was executed.

        Raises:
            StartFailed: and its subclasses, StoreFull, PodNotRunning: the add is undone.
        """
        await self._step("start pod container", _started(self._pod, self._record, None))
        return StartedContainerAdd(self._pod, self._record)


class StartedContainerAdd(_ContainerAdd):
    """A container that runs but does not belong to the pod's containers until it is committed."""

    @property
    def startup_timing(self) -> ContainerStartupTiming:
        """Where the time of the start went, in seconds."""
        return self._record.timing


def committed(pod: OpenPod, started: StartedContainerAdd, *, is_supervised: bool = True) -> ContainerRecord:
    """Take a started container into the pod, whose restart policy holds for it from now on unless not supervised.

    Raises:
        ContainerNotPending: the add was aborted or committed before, or is another pod's; a container of
            another pod, or one that was committed, goes on undisturbed.
    """
    record = started._record
    if started._pod is not pod or record.is_add_over or record.removal is not None:
        raise ContainerNotPending(pod.spec.id, record.id)
    if record.lifecycle.can(ContainerEvent.COMMITTED):
        record.lifecycle.apply(ContainerEvent.COMMITTED)
    record.is_add_over = True
    if is_supervised:
        supervise(pod, record)
    return record


async def begin_container_add(pod: OpenPod, spec: PodContainerSpec) -> PendingContainerAdd:
    """Check the spec, reserve its id, and make sure that its template exists.

    Raises:
        InvalidPodSpec: the spec has problems; all of them are named.
        ContainerExists: the id is taken.
        PodNotRunning: the pod is stopping, stopped or failed.
        ImageError, StoreError: the template cannot be made.
    """
    pod.require_usable()
    problems = tuple(container_problems(spec, pod.spec.volumes, pod_resources=pod.spec.resources))
    if problems:
        raise InvalidPodSpec(pod.spec.id, problems)
    while (going := pod.containers.removal_of(spec.id)) is not None and not going.done():
        await asyncio.wait([going])
        pod.require_usable()
    return await resume_container_add(pod, pod.containers.reserve(spec))


async def resume_container_add(pod: OpenPod, record: ContainerRecord) -> PendingContainerAdd:
    """Go on with an add whose id is reserved."""
    await run_step(pod, record, "ensure pod template", _planned(pod, record))
    return PendingContainerAdd(pod, record)


async def _planned(pod: OpenPod, record: ContainerRecord) -> None:
    if port_actions(record.spec.probes, record.spec.hooks) and PORT_CHECKS not in pod.agent_info.features:
        reason = "this guest agent cannot dial in the pod's network: give a command instead"
        raise UnsupportedFeature("a probe or hook of a port", reason).in_stage("spec")
    with record.stages.stage("template"):
        await remove_leftover(pod, record.id)
        bundle = bundle_of(record.spec.rootfs)
        if bundle is not None and bundle.chain_id not in pod.known_templates:
            record.stages.add(await _template_stages(pod, bundle))
    with record.stages.stage("spec"):
        record.plan = planned_container(record.spec, pod.spec, pod.store.layout, pod.host_name)


async def _template_stages(pod: OpenPod, bundle: ImageBundle) -> Mapping[str, float]:
    """Make sure that the template exists; returns what the stages of its making took."""
    for layer in bundle.layers[:-1]:
        # The template may stand on those of the layers below.
        await pod.hold_template(layer.chain_id)
    await pod.hold_template(bundle.chain_id)
    store = pod.store
    result = await pod.templates.ensure(pod.agent, store.medium.identity, bundle, store.layout, pod.progress)
    if result.created:
        pod.events.image_unpacked(bundle, result)
    pod.known_templates.add(bundle.chain_id)
    return result.stage_seconds


async def _started(pod: OpenPod, record: ContainerRecord, overlay: OverlayRequest | None) -> None:
    if record.phase is ContainerPhase.PENDING:
        record.lifecycle.apply(ContainerEvent.ROOTFS_PREPARED)
    record.lifecycle.apply(ContainerEvent.START_BEGUN)
    record.is_in_sandbox = True
    async with pod.start_gate:
        await launch(pod, record, overlay)


async def run_step(pod: OpenPod, record: ContainerRecord, label: str, work: Coroutine[Any, Any, T]) -> T:
    """Run one step of an add; when it fails or is cancelled, the whole add is undone before the error goes on."""
    if record.removal is not None:
        work.close()
        raise ContainerNotPending(pod.spec.id, record.id)
    task = record.step = pod.scope.start(work, f"{label} {record.id}")
    try:
        return await task
    except asyncio.CancelledError as cancellation:
        await undone(pod, record)
        asked = asyncio.current_task()
        if asked is not None and not asked.cancelling():
            # Nobody cancelled the caller: the pod's shutdown ended the step under it.
            raise PodNotRunning(pod.spec.id, pod.lifecycle.phase) from cancellation
        raise
    except FirkinError as error:
        pod.container_failed_to_start(record, error)
        await undone(pod, record)
        raise error.during(label, pod_id=pod.spec.id, container_id=record.id) from error.__cause__
    except BaseException:
        await undone(pod, record)
        raise


async def undone(pod: OpenPod, record: ContainerRecord) -> None:
    """Abort an add: stop, unmount and remove what it made, and free its id. Repeating it is fine."""
    await finished(removal(pod, record, grace_seconds=0))
