"""Stopping everything in a pod, all at once and sidecars after the others, with a report of what happened to each."""

from __future__ import annotations

import asyncio
import time

from firkin.domain.errors import FirkinError
from firkin.domain.reports import ContainerStopReport, StopReport

from .container_record import ContainerRecord
from .container_removal import removal
from .open_pod import OpenPod

TEAR_DOWN_SECONDS = 30.0
_SIDECAR_SECONDS = 2.0


async def stopped_containers(pod: OpenPod, grace_seconds: float | None) -> tuple[ContainerStopReport, ...]:
    """Stop and remove every container, and abort every add that is under way.

    Sidecars go on until the others have ended, and end one after the other, the last one first, in what is left of
    the grace, or in 2 s each when less is left, as in Kubernetes.
    """
    records = list(pod.containers)
    sidecars = [record for record in records if record.spec.is_sidecar and record.is_add_over]
    removals = {
        record.id: removal(pod, record, _grace(record, grace_seconds) if record.is_add_over else 0)
        for record in records
        if record not in sidecars
    }
    loop = asyncio.get_running_loop()
    begun = loop.time()
    if removals:
        await asyncio.wait(removals.values())
    for record in reversed(sidecars):
        grace = _grace(record, grace_seconds)
        left = max(grace - (loop.time() - begun), min(grace, _SIDECAR_SECONDS))
        removals[record.id] = removal(pod, record, left)
        await asyncio.wait([removals[record.id]])
    return tuple(removals[record.id].result() for record in records)


def _grace(record: ContainerRecord, grace_seconds: float | None) -> float:
    return record.spec.grace_seconds if grace_seconds is None else grace_seconds


async def emptied(pod: OpenPod, grace_seconds: float | None, *, trim: bool) -> StopReport:
    """End what runs in the pod's sandbox and remove what lies in its store; never raises a FirkinError."""
    begun = time.perf_counter()
    containers = await stopped_containers(pod, grace_seconds)
    problems: list[str] = []
    trimmed: int | None = None
    try:
        if trim:
            trimmed = await pod.agent.trim(pod.store.layout.mount)
        problems += await pod.agent.tear_down_pod(pod.preparation)
    except FirkinError as error:
        problems.append(str(error))
    return StopReport(containers, trimmed, tuple(problems), time.perf_counter() - begun)
