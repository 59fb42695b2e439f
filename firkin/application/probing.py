"""Asking running containers how they are."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator

from firkin.domain.errors import FirkinError
from firkin.domain.probes import Probe, Probes

from .container_action import action_failure
from .container_record import ContainerRecord
from .container_stop import stop_container
from .open_pod import OpenPod
from .running_process import RunningProcess


def start_probing(pod: OpenPod, record: ContainerRecord, process: RunningProcess) -> None:
    """Put the container's probes to this run of it until it ends; without probes it is ready at once."""
    if record.spec.probes.startup is None:
        record.has_come_up()
    if process.exit.done():
        return  # beside its post-start command; what has ended is not ready
    record.is_ready = record.spec.probes == Probes()
    if not record.is_ready:
        pod.scope.start(_Probing(pod, record, process).run(), f"probe {record.id}")


class _Probing:
    def __init__(self, pod: OpenPod, record: ContainerRecord, process: RunningProcess) -> None:
        self._pod = pod
        self._record = record
        self._process = process

    async def run(self) -> None:
        probes = self._record.spec.probes
        if probes.startup is not None and not await self._came_up(probes.startup):
            return
        self._record.has_come_up()
        if self._process.exit.done():
            return
        self._record.is_ready = probes.readiness is None
        async with asyncio.TaskGroup() as group:
            if probes.liveness is not None:
                group.create_task(self._keep_alive(probes.liveness), name=f"liveness of {self._record.id}")
            if probes.readiness is not None:
                group.create_task(self._keep_ready(probes.readiness), name=f"readiness of {self._record.id}")

    async def _came_up(self, probe: Probe) -> bool:
        failures = 0
        async with contextlib.aclosing(self._answers("startup", probe)) as answers:
            async for answer in answers:
                if answer is None:
                    return True
                failures += 1
                if failures >= probe.failure_threshold:
                    await self._kill(f"its startup probe {answer}")
                    break
        return False

    async def _keep_alive(self, probe: Probe) -> None:
        failures = 0
        async with contextlib.aclosing(self._answers("liveness", probe)) as answers:
            async for answer in answers:
                failures = 0 if answer is None else failures + 1
                if failures >= probe.failure_threshold:
                    await self._kill(f"its liveness probe {answer}")
                    break

    async def _keep_ready(self, probe: Probe) -> None:
        successes = failures = 0
        async with contextlib.aclosing(self._answers("readiness", probe)) as answers:
            async for answer in answers:
                successes, failures = (successes + 1, 0) if answer is None else (0, failures + 1)
                if successes >= probe.success_threshold:
                    self._record.is_ready = True
                if failures >= probe.failure_threshold:
                    self._record.is_ready = False

    async def _answers(self, name: str, probe: Probe) -> AsyncGenerator[str | None, None]:
        """How each time failed, or None for a success, until the process ends."""
        pause = probe.initial_delay_seconds
        while await self._lives_for(pause):
            answer = await action_failure(self._pod, self._record, probe.action, probe.timeout_seconds)
            if self._process.exit.done():
                return
            if answer is not None:
                self._pod.events.probe_failed(self._record.id, name, answer)
            yield answer
            pause = probe.period_seconds

    async def _lives_for(self, seconds: float) -> bool:
        await asyncio.wait([self._process.exit], timeout=seconds)
        return not self._process.exit.done()

    async def _kill(self, reason: str) -> None:
        """End this run, within the container's grace; whether there is another one, the pod's policy says."""
        self._record.is_ready = False
        self._record.killed_because = reason
        # An agent that cannot kill it any more has lost it, and its end is learned by whoever waits.
        with contextlib.suppress(FirkinError):
            await stop_container(self._pod, self._record, self._record.spec.grace_seconds)
