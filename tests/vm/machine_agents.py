"""Agents in the one machine of all tests, for the contract that every agent keeps."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from firkin.adapters.agent_grpc import GrpcAgentConnector
from firkin.domain.image import ImageBundle
from firkin.domain.vm_config import VmConfig
from firkin.ports.agent_connector import AgentConnector
from firkin.ports.vmm import SandboxRequest
from firkin.testkit.agent_place import AgentPlace
from firkin.testkit.opened_agent import POD, OpenAgent
from tests.contract.agent.roads import AGENT_V1, busybox_bundle

from .shared_machine import SharedMachine

_CONNECT_SECONDS = 60.0
_DEADLINE_SECONDS = 120.0


class MachineAgentPlace(AgentPlace):
    """Lends the machine again and again.

    A test that asks for an empty store has one; to the others it is all the same who made the template, which takes
    a machine longer than all else that most of them do.
    """

    def __init__(self, road: str, machine: SharedMachine, directory: Path, *, has_empty_store: bool) -> None:
        connector = GrpcAgentConnector(_DEADLINE_SECONDS, prefer_agent_v1=road == AGENT_V1)
        super().__init__(connector, machine, directory, busybox_bundle)
        self._machine = machine
        if has_empty_store:
            machine.renew_store()

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[OpenAgent]:
        """The machine, with the agent connected and the pod prepared."""
        bundle = await busybox_bundle()
        try:
            async with self._connected(self.connector, bundle) as opened:
                await opened.agent.prepare_pod(opened.preparation)
                yield opened
        finally:
            # What a test leaves goes with its sandbox elsewhere. Here it goes by the service that removes everything.
            async with self._connected(GrpcAgentConnector(_DEADLINE_SECONDS), bundle) as tidying:
                assert list(await tidying.agent.tear_down_pod(tidying.preparation)) == []

    @contextlib.asynccontextmanager
    async def _connected(self, connector: AgentConnector, bundle: ImageBundle) -> AsyncIterator[OpenAgent]:
        request = SandboxRequest(POD, VmConfig(), self._machine.medium, "pod-1")
        async with (
            self._machine.booted(request) as sandbox,
            connector.connected(sandbox, _CONNECT_SECONDS) as agent,
        ):
            yield OpenAgent(sandbox, agent, bundle, (await agent.info()).features)
