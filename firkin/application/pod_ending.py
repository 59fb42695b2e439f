"""Ending long-lived pods, and forgetting them."""

from __future__ import annotations

import asyncio
import contextlib

from firkin.domain.errors import PodNotFound, PodOver, PodStillRunning, SupervisorDied, SupervisorUnreachable
from firkin.domain.ids import PodId
from firkin.domain.supervised_pod import PodRecord
from firkin.ports.pod_control import ControlConnector
from firkin.ports.pod_registry import PodRegistry

_RELEASE_SECONDS = 30.0
_POLL_SECONDS = 0.01


class PodEnding:
    """Knows how a pod ends from the outside."""

    def __init__(self, registry: PodRegistry, connector: ControlConnector) -> None:
        self._registry = registry
        self._connector = connector

    async def stopped(self, pod_id: PodId, grace_seconds: float | None = None) -> PodRecord:
        """End a pod and wait until its supervisor has; one that has ended stays so.

        Raises:
            PodNotFound: there is none of this name.
            SupervisorDied: it was never ended in order.
            SupervisorUnreachable: its supervisor lives, but does not answer.
        """
        try:
            async with self._connector.connected(pod_id) as control:
                record = await control.stop(grace_seconds)
        except PodOver:
            return self._registry.record(pod_id)
        await self.released(pod_id)
        return record

    async def ended(self, pod_id: PodId) -> PodRecord:
        """Wait for a pod's end.

        Raises:
            PodNotFound, SupervisorUnreachable: as in `stopped`.
            SupervisorDied: its supervisor was killed.
        """
        try:
            async with self._connector.connected(pod_id) as control:
                return await control.wait()
        except PodOver:
            return self._registry.record(pod_id)

    async def removed(self, pod_id: PodId, *, force: bool = False) -> None:
        """Forget a pod that has ended; with `force`, kill one that runs.

        Raises:
            PodNotFound: there is none of this name.
            PodStillRunning: it runs, and `force` is not given.
        """
        record = self._registry.record(pod_id)
        if self._registry.is_held(pod_id) and not record.phase.is_over:
            if not force:
                raise PodStillRunning(pod_id)
            try:
                await self.stopped(pod_id, 0)
            except (SupervisorDied, SupervisorUnreachable):
                if self._registry.is_held(pod_id):
                    raise
        await self.released(pod_id)
        # One that wanted it has forgotten itself.
        with contextlib.suppress(PodNotFound):
            self._registry.remove(pod_id)

    async def released(self, pod_id: PodId) -> None:
        """Wait until a supervisor lets go of its pod: a moment after it has told of the end, or after it was killed.

        Raises:
            SupervisorUnreachable: it does not.
        """
        deadline = asyncio.get_running_loop().time() + _RELEASE_SECONDS
        while self._registry.is_held(pod_id):
            if asyncio.get_running_loop().time() > deadline:
                raise SupervisorUnreachable(pod_id, "its pod has ended, but the process does not end")
            await asyncio.sleep(_POLL_SECONDS)
