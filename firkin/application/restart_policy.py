"""Starting containers again after they have ended, by the policy of their pod."""

from __future__ import annotations

import asyncio

from firkin.domain.errors import ContainerNotPending, FirkinError, IllegalTransition, PodNotRunning, SandboxDied
from firkin.domain.lifecycle import ContainerPhase
from firkin.domain.process import ExitStatus
from firkin.domain.restarting import BackOff, RestartPolicy

from .container_record import ContainerRecord
from .container_restart import restart_container
from .open_pod import OpenPod
from .running_process import RunningProcess

_OVER = (PodNotRunning, ContainerNotPending, IllegalTransition, SandboxDied)


def supervise(pod: OpenPod, record: ContainerRecord) -> None:
    """Keep a container running as the pod's policy (a sidecar: always) wants it, until it is stopped or removed."""
    policy = RestartPolicy.ALWAYS if record.spec.is_sidecar else pod.spec.restart_policy
    if policy is RestartPolicy.NEVER:
        return
    record.finished = asyncio.get_running_loop().create_future()
    task = pod.scope.start(_Supervision(pod, record, policy).run(), f"keep {record.id} running")
    task.add_done_callback(lambda _: record.finish())


class _Supervision:
    def __init__(self, pod: OpenPod, record: ContainerRecord, policy: RestartPolicy) -> None:
        self._pod = pod
        self._record = record
        self._policy = policy
        self._back_off = BackOff()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        process = self._record.process
        while process is not None:
            begun = loop.time()
            status = await self._end_of(process)
            if status is None or not self._wants(status) or not await self._again(process, loop.time() - begun):
                return
            process = self._record.process

    async def _end_of(self, process: RunningProcess) -> ExitStatus | None:
        try:
            return await process.wait()
        except FirkinError:
            return None

    def _wants(self, status: ExitStatus) -> bool:
        return not self._record.stop_asked.is_set() and self._policy.wants_restart(status)

    async def _again(self, ended: RunningProcess, ran_seconds: float) -> bool:
        """Start it again after a pause, and again after longer pauses when it does not start; False when it is over."""
        while True:
            if await self._was_stopped_within(self._back_off.pause_seconds(ran_seconds)):
                return False
            ran_seconds = 0.0
            if self._record.process is not ended or self._record.phase is not ContainerPhase.EXITED:
                return True  # somebody else was quicker
            try:
                await restart_container(self._pod, self._record)
            except _OVER:
                return False
            except FirkinError:
                if self._record.process is not ended:
                    return True  # it started, and was killed because its post-start command failed
                continue
            self._record.restart_count += 1
            return True

    async def _was_stopped_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._record.stop_asked.wait()
        except TimeoutError:
            return False
        return True
