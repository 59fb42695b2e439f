"""Asking a container to end, its pre-stop hook included."""

from __future__ import annotations

import asyncio

from firkin.domain.errors import ContainerNotRunning
from firkin.domain.probes import HookAction
from firkin.domain.process import ExitStatus

from .container_action import action_failure
from .container_record import ContainerRecord
from .open_pod import OpenPod
from .running_process import RunningProcess

_GRACE_AFTER_HOOK_SECONDS = 2.0
"""What is left at least for the container, when its pre-stop hook took the whole grace, as Kubernetes has it."""


async def stop_container(pod: OpenPod, record: ContainerRecord, grace_seconds: float) -> tuple[ExitStatus, bool]:
    """Run the pre-stop hook, ask the container's init to end, and kill it after the grace.

    Tells how it ended, and whether it was killed. `pod.hurry` ends the grace early.

    Raises:
        ContainerNotRunning: it was never started.
    """
    process, plan = record.process, record.plan
    if process is None or plan is None:
        raise ContainerNotRunning(record.id, record.phase)
    hook = record.spec.hooks.pre_stop
    if grace_seconds > 0 and hook is not None:
        left = grace_seconds - await _pre_stop_seconds(pod, record, process, hook, grace_seconds)
        grace_seconds = max(left, min(grace_seconds, _GRACE_AFTER_HOOK_SECONDS))
    return await process.stop(plan.stop_signal, grace_seconds, pod.hurry)


async def _pre_stop_seconds(
    pod: OpenPod, record: ContainerRecord, process: RunningProcess, action: HookAction, grace_seconds: float
) -> float:
    """Run the pre-stop hook, as long as the process runs and nobody hurries; tells how long that took."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    if not process.exit.done():
        hook = pod.scope.start(action_failure(pod, record, action, grace_seconds), f"pre-stop hook of {record.id}")
        ends: set[asyncio.Future[str | None] | asyncio.Future[ExitStatus] | asyncio.Future[None]]
        ends = {hook, process.exit, pod.hurry}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        if not hook.done():
            hook.cancel()
            await asyncio.wait([hook])
    return loop.time() - begun
