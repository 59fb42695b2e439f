"""Statistics of a container that uses known amounts in a machine, whose control groups are all of version 2."""

from __future__ import annotations

from pathlib import Path

import grpc.aio
import msgspec
import pytest

from firkin.domain.container_spec import PodContainerSpec
from firkin.domain.ids import ContainerId
from firkin.domain.lowering import container_runtime_spec, encoded
from firkin.domain.process import ProcessRef
from firkin.domain.rootfs_source import RootfsSource
from firkin.domain.statistics import ContainerStatistics
from firkin.ports.agent_containers import ContainerLaunch
from firkin.testkit.opened_agent import POD, OpenAgent
from firkin.wire.agent_pb2_grpc import AgentStub
from firkin.wire.sandbox_context_pb2_grpc import SandboxContextStub
from tests.contract.agent.roads import AGENT_V1
from tests.integration.vminitd.known_usage import CONTAINER, MEMORY_LIMIT, PROCESS_LIMIT, check_usage, told

from .machine_agents import MachineAgentPlace
from .shared_machine import SharedMachine

pytestmark = pytest.mark.real_time


class _InAMachine:
    """The container of an agent in a machine."""

    def __init__(self, it: OpenAgent, channel: grpc.aio.Channel) -> None:
        self._it = it
        self._v1, self._context = AgentStub(channel), SandboxContextStub(channel)
        self._count = 0

    async def begin(self, script: str) -> None:
        self._count += 1
        await self._it.agent.start_process(self._it.exec(CONTAINER, f"e{self._count}", "/bin/sh", "-c", script))

    async def execute(self, script: str) -> int:
        await self.begin(script)
        return (await self._it.agent.wait_process(ProcessRef(CONTAINER, f"e{self._count}"))).code

    async def statistics(self) -> tuple[ContainerStatistics, ContainerStatistics]:
        return await told(self._v1, self._context)


def _limited(it: OpenAgent) -> ContainerLaunch:
    spec = PodContainerSpec(ContainerId(CONTAINER), RootfsSource.oci_bundle(it.bundle)).command("/bin/sleep", "999")
    limited = spec.limits(memory=MEMORY_LIMIT, pids=PROCESS_LIMIT)
    document = encoded(container_runtime_spec(limited, it.bundle.config, it.overlay(CONTAINER).merged, POD))
    return msgspec.structs.replace(it.launch(CONTAINER), runtime_spec=document)


async def test_both_services_tell_what_a_container_of_a_machine_uses(
    shared_machine: SharedMachine, tmp_path: Path
) -> None:
    place = MachineAgentPlace(AGENT_V1, shared_machine, tmp_path, has_empty_store=False)
    async with place.opened() as it:
        await it.agent.ensure_template(it.bundle, it.layout)
        await it.agent.start_container(_limited(it))
        async with grpc.aio.insecure_channel(f"unix:{it.sandbox.socket_directory}/guest-1024.sock") as channel:
            await check_usage(_InAMachine(it, channel), counts_limits=True)
        await it.removed(CONTAINER)
