"""The way to supervisors that are in the same process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from firkin.domain.errors import PodOver, SupervisorDied
from firkin.domain.ids import PodId
from firkin.domain.supervised_pod import SupervisedPhase
from firkin.ports.pod_control import PodControl
from firkin.ports.pod_registry import ClaimedPod, PodRegistry


class MemoryPodControls:
    """Keeps the ports ControlServer and ControlConnector with a dictionary."""

    def __init__(self, registry: PodRegistry) -> None:
        self._registry = registry
        self._controls: dict[str, PodControl] = {}

    @asynccontextmanager
    async def serving(self, control: PodControl, claimed: ClaimedPod) -> AsyncIterator[None]:
        """Hand the control out until it is left."""
        name = claimed.directory.name
        self._controls[name] = control
        try:
            yield
        finally:
            del self._controls[name]

    @asynccontextmanager
    async def connected(self, pod_id: PodId) -> AsyncIterator[PodControl]:
        """The pod's control.

        Raises:
            PodNotFound: there is no such pod.
            PodOver, SupervisorDied: nobody runs it any more.
        """
        record = self._registry.record(pod_id)
        if record.phase is SupervisedPhase.ABANDONED:
            raise SupervisorDied(pod_id)
        if record.phase.is_over or pod_id not in self._controls:
            raise PodOver(pod_id, record.phase)
        yield self._controls[pod_id]
