"""Starting a container again after its process has ended."""

from __future__ import annotations

import asyncio
import contextlib

from firkin.domain.errors import ContainerNotPending, FirkinError, PodNotRunning
from firkin.domain.lifecycle import ContainerEvent
from firkin.domain.process import ProcessRef

from .container_launch import launch
from .container_record import ContainerRecord
from .open_pod import OpenPod
from .task_scope import finished


async def restart_container(pod: OpenPod, record: ContainerRecord) -> None:
    """Run the container's command again, on the files that it left.

    Raises:
        IllegalTransition: it has not ended.
        StartFailed: and its subclasses: it stays ended.
        PodNotRunning: the pod is stopping, stopped or failed.
    """
    pod.require_usable()
    if record.removal is not None:
        raise ContainerNotPending(pod.spec.id, record.id)
    record.lifecycle.apply(ContainerEvent.RESTART_BEGUN)
    record.begin_start()
    step = record.step = pod.scope.start(_again(pod, record), f"restart {record.id}")
    try:
        await step
    except BaseException as error:
        if isinstance(error, FirkinError):
            pod.container_failed_to_start(record, error)
        await finished(pod.scope.start(_given_up(pod, record), f"give up restart of {record.id}"))
        asked = asyncio.current_task()
        if isinstance(error, asyncio.CancelledError) and asked is not None and not asked.cancelling():
            raise PodNotRunning(pod.spec.id, pod.lifecycle.phase) from error
        raise


async def _again(pod: OpenPod, record: ContainerRecord) -> None:
    previous = record.process
    if previous is not None:
        await pod.agent.remove_process(previous.ref)
        await previous.aclose()
    async with pod.start_gate:
        await launch(pod, record, None)
    record.lifecycle.apply(ContainerEvent.COMMITTED)


async def _given_up(pod: OpenPod, record: ContainerRecord) -> None:
    if not record.lifecycle.can(ContainerEvent.START_FAILED):
        return
    # A start that was cancelled may have happened in the sandbox; what is not known there is removed already.
    with contextlib.suppress(FirkinError):
        await pod.agent.remove_process(ProcessRef(record.id, record.id))
    if record.lifecycle.can(ContainerEvent.START_FAILED):
        record.lifecycle.apply(ContainerEvent.START_FAILED)
