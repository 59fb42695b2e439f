"""Which contract tests belong to which name in a test module."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType

import msgspec
import pytest

_AGENT = (
    "agent",
    "agent_containers",
    "agent_copies",
    "agent_events",
    "agent_network",
    "agent_processes",
    "agent_statistics",
    "agent_terminals",
)

TRIED_PORTS = {
    "agent": ("AgentConnector", "AgentPods", "AgentTemplates"),
    "agent_containers": ("AgentContainers",),
    "agent_copies": ("AgentFiles",),
    "agent_events": ("AgentEvents",),
    "agent_network": ("AgentNetwork",),
    "agent_processes": ("AgentProcesses",),
    "agent_statistics": ("AgentStatistics",),
    "agent_terminals": ("AgentProcesses",),
    "control_processes": ("PodControl", "AttachedProcess", "ExecutedProcess"),
    "guest_agent": ("AgentContainers", "AgentProcesses", "AgentTemplates", "AgentPods"),
    "guest_deadlines": ("AgentConnector", "AgentNetwork"),
    "guest_images": ("GuestImages",),
    "guest_terminals": ("AgentProcesses",),
    "image_library": ("ImageLibrary",),
    "image_source": ("ImageSource",),
    "leftovers": ("Leftovers",),
    "log_keeper": ("LogKeeper", "KeptLog"),
    "pod_control": ("ControlServer", "ControlConnector", "PodControl"),
    "pod_registry": ("PodRegistry", "ClaimedPod"),
    "pod_store": ("PodStore", "TemplateHolder"),
    "reclaimable_space": ("ReclaimableSpace",),
    "sandbox_promises": ("Vmm", "TimedBoot", "TellsState", "TakesFiles"),
    "spawn_observer": ("SpawnObserver",),
    "stored_pods": ("PodStore",),
    "streams": ("ByteSource", "ByteSink"),
    "vmm": ("Vmm", "Sandbox"),
}
"""By module of `firkin.testkit.contracts`: which Protocols of `firkin.ports` it tries."""


class Contract(msgspec.Struct, frozen=True):
    """What is tested of the adapter that a module names `fixture`.

    Attributes:
        port: as it is called in the matrix of promises.
        modules: of `firkin.testkit.contracts`.
    """

    port: str
    fixture: str
    modules: tuple[str, ...]

    @property
    def class_name(self) -> str:
        """The node that holds the tests, for example `VmmContract`."""
        return "".join(word.capitalize() for word in self.port.split()) + "Contract"


CONTRACTS = {
    contract.fixture: contract
    for contract in (
        Contract("vmm", "firkin_vmm", ("vmm",)),
        Contract("pod store", "firkin_pod_store", ("pod_store",)),
        Contract("stored pods", "firkin_stored_pods", ("stored_pods",)),
        Contract("agent", "firkin_agent", _AGENT),
        Contract("guest agent", "firkin_guest_agent", (*_AGENT, "guest_agent", "guest_deadlines", "guest_terminals")),
        Contract("image source", "firkin_image_source", ("image_source",)),
        Contract("image library", "firkin_image_library", ("image_library",)),
        Contract("reclaimable space", "firkin_reclaimable_space", ("reclaimable_space",)),
        Contract("streams", "firkin_streams", ("streams",)),
        Contract("log keeper", "firkin_log_keeper", ("log_keeper",)),
        Contract("pod registry", "firkin_pod_registry", ("pod_registry",)),
        Contract("pod control", "firkin_pod_control", ("pod_control", "control_processes")),
        Contract("leftovers", "firkin_left_behind", ("leftovers",)),
        Contract("guest images", "firkin_guest_images", ("guest_images",)),
        Contract("spawn observer", "firkin_spawn_observer", ("spawn_observer",)),
        Contract("sandbox promises", "firkin_sandbox", ("sandbox_promises",)),
    )
}


def contract_class(contract: Contract, named: object) -> type:
    """A class with every test of the contract; a fixture of the name is made when `named` is no fixture itself."""
    members: dict[str, object] = {"pytestmark": [pytest.mark.real_time]}
    for name in contract.modules:
        members |= _tests(import_module(f"firkin.testkit.contracts.{name}"))
    if callable(named) and not isinstance(named, type(_named_agent)):
        members[contract.fixture] = _fixture_of(named)
    if contract.fixture in _ALIASES:
        members["named_agent"] = _ALIASES[contract.fixture]
    return type(contract.class_name, (), members)


def _tests(module: ModuleType) -> dict[str, object]:
    found = {name: value for name, value in vars(module).items() if name.startswith("test_")}
    return {name: staticmethod(value) for name, value in found.items() if callable(value)}


def _fixture_of(make: Callable[..., object]) -> object:
    needs_directory = any(
        parameter.default is parameter.empty and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        for parameter in inspect.signature(make).parameters.values()
    )

    @pytest.fixture
    def made(_: object, tmp_path: Path) -> object:
        return make(tmp_path) if needs_directory else make()

    return made


@pytest.fixture
def _named_agent(_: object, firkin_agent: object) -> object:
    return firkin_agent


@pytest.fixture
def _named_guest_agent(_: object, firkin_guest_agent: object) -> object:
    return firkin_guest_agent


# By one name the tests ask for either. A fixture of a class gets the class's instance first.
_ALIASES = {"firkin_agent": _named_agent, "firkin_guest_agent": _named_guest_agent}
