"""What containers use, over SandboxContext, which lists no processes and counts no files."""

from __future__ import annotations

import time
from collections.abc import Sequence

from firkin.domain.errors import Outcome, UnsupportedFeature
from firkin.domain.ids import ContainerId, PodId
from firkin.domain.layout import StoreLayout
from firkin.domain.statistics import ContainerStatistics, ProcessEntry, StoreBreakdown
from firkin.wire import sandbox_context_pb2 as wire

from ..statistics_messages import context_statistics
from .calls import SandboxContextPart

_NOT_IN_SERVICE = "the guest agent speaks SandboxContext alone, which has no such call"


class SandboxContextStatistics(SandboxContextPart):
    """Reading without changing anything."""

    async def statistics(self, container_ids: Sequence[ContainerId]) -> Sequence[ContainerStatistics]:
        """What these containers use; one that there is not (any more) is left out."""
        if not container_ids:
            return ()
        request = wire.ContainerStatisticsRequest(container_ids=container_ids)
        session, operation = self._calls.session, "read container statistics"
        answer = await session.answer(self._calls.stub.ContainerStatistics, request, operation, changes=False)
        taken = time.time()
        return tuple(context_statistics(one, taken) for one in answer.containers)

    async def processes(self, container_id: ContainerId) -> Sequence[ProcessEntry]:
        """This service cannot list processes."""
        refused = UnsupportedFeature("listing processes", _NOT_IN_SERVICE)
        raise refused.during("list processes", outcome=Outcome.DID_NOT)

    async def store_breakdown(self, pod_id: PodId, layout: StoreLayout) -> StoreBreakdown:
        """This service cannot count a store's files."""
        refused = UnsupportedFeature("telling what takes the store's space", _NOT_IN_SERVICE)
        raise refused.during("count store usage", outcome=Outcome.DID_NOT)
