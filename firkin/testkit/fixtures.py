"""What contract tests use beside the adapter; a project may override each of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from firkin.domain.ids import PodId
from firkin.domain.size import Size
from firkin.domain.store_spec import PodStoreSpec
from firkin.domain.vm_config import VmConfig
from firkin.ports.agent_connector import AgentConnector
from firkin.ports.store import StoreMedium
from firkin.ports.vmm import SandboxRequest, Vmm

from .agent_place import AgentPlace
from .host_leftovers import host_leftovers
from .sandbox_pods import SandboxPods
from .supervised_pods import SupervisedPods


@pytest.fixture
def firkin_store_medium(tmp_path: Path) -> StoreMedium:
    """What sandboxes get as their pod store: a directory."""
    (tmp_path / "store").mkdir(exist_ok=True)
    return StoreMedium(tmp_path / "store", "", "the-store")


@pytest.fixture
def firkin_sandbox_request(firkin_store_medium: StoreMedium) -> SandboxRequest:
    """The sandbox that VMMs are asked for."""
    return SandboxRequest(PodId("pod-1"), VmConfig(), firkin_store_medium, "guest-name")


@pytest.fixture
def firkin_leftovers(tmp_path: Path) -> Callable[[], list[str]]:
    """What is left on the host, in words: processes, mounts and loop devices that name the test's directory."""
    return lambda: host_leftovers(tmp_path)


@pytest.fixture
def kept_store(tmp_path: Path) -> PodStoreSpec:
    """A store that stays, at a path of its own."""
    return PodStoreSpec.at(tmp_path / "kept", Size.mib(64))


@pytest.fixture
def host_directory(tmp_path: Path) -> Path:
    """An empty directory of the host, for copies."""
    (tmp_path / "host").mkdir()
    return tmp_path / "host"


@pytest.fixture
def agent_place(named_agent: AgentPlace | AgentConnector, tmp_path: Path) -> AgentPlace:
    """The agent under test in its surroundings: those that it came with, or a namespace sandbox."""
    if isinstance(named_agent, AgentPlace):
        return named_agent
    return AgentPlace.in_namespaces(named_agent, tmp_path)


@pytest.fixture
def firkin_pods(firkin_sandbox: Vmm, tmp_path: Path) -> SandboxPods:
    """Pods in the sandboxes of the VMM under test."""
    return SandboxPods(firkin_sandbox, tmp_path)


@pytest.fixture
def long_lived(firkin_pod_control: SupervisedPods) -> SupervisedPods:
    """Pods with supervisors that are reached by what is under test."""
    return firkin_pod_control
