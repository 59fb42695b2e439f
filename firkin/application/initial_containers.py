"""Starting the containers that a pod begins with."""

from __future__ import annotations

import asyncio

from firkin.domain.errors import FirkinError

from .container_add import committed, resume_container_add
from .container_record import ContainerRecord
from .open_pod import OpenPod


async def start_initial_containers(pod: OpenPod) -> None:
    """Start them concurrently, as many at a time as the pod's gate lets through.

    Raises:
        FirkinError: the first one's that failed; the others are undone, and noted on it when they failed too.
    """
    # All ids are taken before anything is awaited, so that they stand in the order of the spec.
    records = [pod.containers.reserve(spec) for spec in pod.spec.containers]
    try:
        async with asyncio.TaskGroup() as group:
            for record in records:
                group.create_task(_added(pod, record), name=f"add {record.id}")
    except* FirkinError as failures:
        first, *others = _leaves(failures)
        for other in others:
            first.add_note(f"also: {other}")
        raise first from first.__cause__


async def _added(pod: OpenPod, record: ContainerRecord) -> None:
    async with await resume_container_add(pod, record) as pending:
        started = await pending.start()
        committed(pod, started)


def _leaves(group: BaseExceptionGroup[FirkinError]) -> list[FirkinError]:
    leaves: list[FirkinError] = []
    for error in group.exceptions:
        leaves += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return leaves
