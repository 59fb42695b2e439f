"""What containers use, over firkin.agent.v1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from firkin.domain.ids import ContainerId, PodId
from firkin.domain.layout import StoreLayout
from firkin.domain.reports import AgentInfo
from firkin.domain.statistics import ContainerStatistics, ProcessEntry, StoreBreakdown
from firkin.wire import agent_pb2 as wire

from .features import PROCESS_LIST, STATISTICS, STORE_USAGE, require_feature
from .session import AgentSession
from .statistics_messages import container_statistics, process_entry, store_breakdown

if TYPE_CHECKING:
    from firkin.wire.agent_pb2_grpc import AgentAsyncStub


class FirkinAgentStatistics:
    """Reading without changing anything."""

    _session: AgentSession
    _agent: AgentAsyncStub
    _info: AgentInfo

    async def statistics(self, container_ids: Sequence[ContainerId]) -> Sequence[ContainerStatistics]:
        """What these containers use; one that there is not (any more) is left out."""
        if not container_ids:
            return ()
        require_feature(self._info, STATISTICS, "reading container statistics")
        request = wire.ContainerStatisticsRequest(container_ids=container_ids)
        operation = "read container statistics"
        answer = await self._session.answer(self._agent.ContainerStatistics, request, operation, changes=False)
        return tuple(container_statistics(one) for one in answer.containers)

    async def processes(self, container_id: ContainerId) -> Sequence[ProcessEntry]:
        """The processes of a container, by pid; none once it has ended."""
        require_feature(self._info, PROCESS_LIST, "listing processes")
        request = wire.ListProcessesRequest(container_id=container_id)
        answer = await self._session.answer(self._agent.ListProcesses, request, "list processes", changes=False)
        return tuple(process_entry(one) for one in answer.processes)

    async def store_breakdown(self, pod_id: PodId, layout: StoreLayout) -> StoreBreakdown:
        """What takes the store's space, counted by looking at every file."""
        require_feature(self._info, STORE_USAGE, "telling what takes the store's space")
        request = wire.StoreUsageRequest(pod_id=pod_id, store_path=layout.mount)
        answer = await self._session.answer(self._agent.StoreUsage, request, "count store usage", changes=False)
        return store_breakdown(answer)
