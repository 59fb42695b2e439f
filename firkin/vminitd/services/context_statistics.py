"""ContainerStatistics of SandboxContext."""

from __future__ import annotations

from grpc.aio import ServicerContext

from firkin.wire import sandbox_context_pb2 as wire

from ..agent import GuestAgent
from ..container_statistics import container_statistics
from .errors import answering
from .statistics_messages import context_statistics_message

_Context = ServicerContext[object, object]


class StatisticsCalls:
    """What containers use."""

    _agent: GuestAgent

    async def ContainerStatistics(
        self, request: wire.ContainerStatisticsRequest, context: _Context
    ) -> wire.ContainerStatisticsResponse:
        # An unknown id is left out; other agents fail the whole call for it.
        async with answering(context, "read container statistics"):
            places = self._agent.containers.process_places(request.container_ids)
            read = [await self._agent.workers.run(container_statistics, *place) for place in places]
        categories = [category for category in request.categories if category != wire.STAT_CATEGORY_UNSPECIFIED]
        messages = [context_statistics_message(one, categories) for one in read]
        return wire.ContainerStatisticsResponse(containers=messages)
