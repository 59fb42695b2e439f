"""What containers use, in firkin.agent.v1."""

from __future__ import annotations

from grpc.aio import ServicerContext

from firkin.domain.guest_path import GuestPath
from firkin.domain.ids import ContainerId, PodId
from firkin.wire import agent_pb2 as wire

from ..agent import GuestAgent
from ..container_statistics import container_statistics
from ..filesystem.space import store_breakdown
from ..process_list import container_processes
from .errors import answering
from .statistics_messages import breakdown_message, process_message, statistics_message

_Context = ServicerContext[object, object]


class StatisticsCalls:
    """Reading without changing anything."""

    _agent: GuestAgent

    async def ContainerStatistics(
        self, request: wire.ContainerStatisticsRequest, context: _Context
    ) -> wire.ContainerStatisticsResponse:
        async with answering(context, "read container statistics"):
            places = self._agent.containers.process_places(request.container_ids)
            read = [await self._agent.workers.run(container_statistics, *place) for place in places]
        return wire.ContainerStatisticsResponse(containers=[statistics_message(one) for one in read])

    async def ListProcesses(self, request: wire.ListProcessesRequest, context: _Context) -> wire.ListProcessesResponse:
        async with answering(context, "list processes", container_id=request.container_id):
            container_id = ContainerId(request.container_id)
            init = self._agent.containers.init_of(container_id)
            ((_, path, rootfs),) = self._agent.containers.process_places([container_id])
            run = self._agent.workers.run
            processes = await run(container_processes, path, rootfs) if init.phase == "running" else []
        return wire.ListProcessesResponse(processes=[process_message(one) for one in processes])

    async def StoreUsage(self, request: wire.StoreUsageRequest, context: _Context) -> wire.StoreUsageResponse:
        async with answering(context, "count store usage", request.store_path, pod_id=request.pod_id):
            pod_id, store_path = PodId(request.pod_id), GuestPath(request.store_path)
            breakdown = await self._agent.copy_workers.run(store_breakdown, pod_id, store_path)
        return breakdown_message(breakdown)
