"""What a container uses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from firkin.domain.errors import ContainerNotFound, FirkinError, InvalidArgument
from firkin.domain.statistics import ContainerStatistics, ProcessEntry

from .container_record import ContainerRecord
from .open_pod import OpenPod


async def read_statistics(pod: OpenPod, record: ContainerRecord) -> ContainerStatistics:
    """What a container uses now.

    Raises:
        PodNotRunning: the pod is stopping, stopped or failed.
        ContainerNotFound: the sandbox does not know it (any more).
    """
    pod.require_usable()
    for statistics in await pod.agent.statistics([record.id]):
        return statistics
    raise ContainerNotFound(pod.spec.id, record.id)


async def list_processes(pod: OpenPod, record: ContainerRecord) -> tuple[ProcessEntry, ...]:
    """The processes of a container.

    Raises:
        PodNotRunning: the pod is stopping, stopped or failed.
        ContainerNotFound: the sandbox does not know it (any more).
        UnsupportedFeature: the agent cannot list processes.
    """
    pod.require_usable()
    try:
        return tuple(await pod.agent.processes(record.id))
    except FirkinError as error:
        operation = "list processes of pod container"
        raise error.during(operation, pod_id=pod.spec.id, container_id=record.id) from error.__cause__


def statistics_stream(
    pod: OpenPod, record: ContainerRecord, interval_seconds: float
) -> AsyncIterator[ContainerStatistics]:
    """What a container uses, again and again until it has ended.

    Raises:
        InvalidArgument: the interval is not positive.
    """
    if not interval_seconds > 0:
        raise InvalidArgument(f"an interval of {interval_seconds} s between statistics is not positive")
    return _stream(pod, record, interval_seconds)


async def _stream(pod: OpenPod, record: ContainerRecord, interval_seconds: float) -> AsyncIterator[ContainerStatistics]:
    process = record.process
    while process is not None and not process.exit.done():
        try:
            yield await read_statistics(pod, record)
        except ContainerNotFound:
            return
        await asyncio.wait([process.exit], timeout=interval_seconds)
