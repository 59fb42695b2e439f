"""Stopping everything in a pod, all at once, with a report of what happened to each."""

from __future__ import annotations

import asyncio
import time

from firkin.domain.errors import FirkinError
from firkin.domain.reports import ContainerStopReport, StopReport

from .container_removal import removal
from .open_pod import OpenPod

TEAR_DOWN_SECONDS = 30.0


async def stopped_containers(pod: OpenPod, grace_seconds: float | None) -> tuple[ContainerStopReport, ...]:
    """Stop and remove every container, and abort every add that is under way."""
    removals = [
        removal(pod, record, record.spec.grace_seconds if grace_seconds is None else grace_seconds)
        if record.is_add_over
        else removal(pod, record, 0)
        for record in pod.containers
    ]
    if removals:
        await asyncio.wait(removals)
    return tuple(task.result() for task in removals)


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
