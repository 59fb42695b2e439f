"""Removing a container: the one way out, from whatever phase it is in."""

from __future__ import annotations

import asyncio
import time

from firkin.domain.errors import FirkinError
from firkin.domain.ids import ContainerId
from firkin.domain.lifecycle import ContainerEvent
from firkin.domain.process import ExitStatus
from firkin.domain.reports import ContainerStopReport

from .container_record import ContainerRecord
from .container_stop import stop_container
from .open_pod import OpenPod

_REAP_SECONDS = 5.0


def removal(pod: OpenPod, record: ContainerRecord, grace_seconds: float) -> asyncio.Task[ContainerStopReport]:
    """Begin to stop and remove a container, or join the removal that is under way."""
    record.stop_asked.set()
    if record.removal is None:
        record.removal = pod.scope.start(_remove(pod, record, grace_seconds), f"remove container {record.id}")
    return record.removal


async def _remove(pod: OpenPod, record: ContainerRecord, grace_seconds: float) -> ContainerStopReport:
    begun = time.perf_counter()
    await _end_step(record)
    status, killed, problems = await _stopped(pod, record, grace_seconds)
    record.lifecycle.apply(ContainerEvent.REMOVAL_BEGUN)
    problems += await _cleaned(pod, record)
    if status is None:
        status = await _recorded_status(record)
    for process in (*record.execs.values(), *([record.process] if record.process else [])):
        await process.aclose()
    record.lifecycle.apply(ContainerEvent.REMOVED)
    pod.containers.forget(record)
    return ContainerStopReport(record.id, status, killed, time.perf_counter() - begun, tuple(problems))


async def _end_step(record: ContainerRecord) -> None:
    step = record.step
    if step is not None and not step.done():
        step.cancel()
        await asyncio.wait([step])


async def _stopped(
    pod: OpenPod, record: ContainerRecord, grace_seconds: float
) -> tuple[ExitStatus | None, bool, list[str]]:
    if record.process is None or record.plan is None:
        return None, False, []
    try:
        status, killed = await stop_container(pod, record, grace_seconds)
    except FirkinError as error:
        # An agent that lost the container cannot stop it; removing it must be possible all the same.
        return None, False, [str(error)]
    return status, killed, []


async def _cleaned(pod: OpenPod, record: ContainerRecord) -> list[str]:
    if record.plan is None or not record.is_in_sandbox:
        return []
    overlay = None if record.plan.overlay is None else record.plan.overlay.layout
    try:
        problems = list(await pod.agent.remove_container(record.id, overlay))
    except FirkinError as error:
        problems = [str(error)]
    if problems:
        pod.unremoved[record.id] = overlay
    return problems


async def remove_leftover(pod: OpenPod, container_id: ContainerId) -> None:
    """Remove what an earlier container of this id left in the sandbox, if its removal failed.

    Raises:
        FirkinError: it fails again.
    """
    if container_id in pod.unremoved:
        await pod.agent.remove_container(container_id, pod.unremoved[container_id])
        del pod.unremoved[container_id]


async def _recorded_status(record: ContainerRecord) -> ExitStatus | None:
    if record.process is None:
        return None
    await asyncio.wait([record.process.exit], timeout=_REAP_SECONDS)
    exit_task = record.process.exit
    if not exit_task.done() or exit_task.cancelled() or exit_task.exception() is not None:
        return None
    return exit_task.result()
