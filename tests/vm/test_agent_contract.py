"""What every agent promises, over both services of the agent in a machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.agent.roads import AGENT_V1, SANDBOX_CONTEXT

from .machine_agents import MachineAgentPlace
from .shared_machine import SharedMachine


@pytest.fixture(params=[f"machine {AGENT_V1}", f"machine {SANDBOX_CONTEXT}"])
def firkin_guest_agent(
    request: pytest.FixtureRequest, shared_machine: SharedMachine, tmp_path: Path
) -> MachineAgentPlace:
    road = str(request.param).removeprefix("machine ")
    has_empty_store = request.node.get_closest_marker("empty_store") is not None
    return MachineAgentPlace(road, shared_machine, tmp_path, has_empty_store=has_empty_store)
