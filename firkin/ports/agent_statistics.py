"""The agent's part in telling what containers use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from firkin.domain.ids import ContainerId, PodId
from firkin.domain.layout import StoreLayout
from firkin.domain.statistics import ContainerStatistics, ProcessEntry, StoreBreakdown


class AgentStatistics(Protocol):
    """Reading without changing anything."""

    async def statistics(self, container_ids: Sequence[ContainerId]) -> Sequence[ContainerStatistics]:
        """What these containers use; one that there is not (any more) is left out."""
        ...

    async def processes(self, container_id: ContainerId) -> Sequence[ProcessEntry]:
        """The processes of a container, by pid; none once it has ended.

        Raises:
            ContainerNotFound: there is no such container.
            UnsupportedFeature: the agent cannot list processes.
        """
        ...

    async def store_breakdown(self, pod_id: PodId, layout: StoreLayout) -> StoreBreakdown:
        """What takes the store's space, counted by looking at every file.

        Raises:
            UnsupportedFeature: the agent cannot tell.
        """
        ...
