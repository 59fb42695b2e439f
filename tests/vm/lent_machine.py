"""Runtimes of tests that were written for namespaces, with the one machine of all tests in their place."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from types import ModuleType

import pytest

import firkin
from firkin.adapters.agent_grpc import GrpcAgentConnector
from firkin.ports.agent_connector import AgentConnector

from .machines import BOOT_SECONDS
from .shared_machine import SharedMachine


@contextlib.asynccontextmanager
async def lent_runtime(
    machine: SharedMachine, directory: Path, agents: AgentConnector | None = None
) -> AsyncIterator[firkin.Runtime]:
    """A runtime whose sandbox is the machine, and whose files all lie below `directory`."""
    config = firkin.RuntimeConfig(
        vmm=machine,
        store="ext4",
        agents=agents or GrpcAgentConnector(BOOT_SECONDS),
        state_dir=directory / "state",
        runtime_dir=directory / "run",
    )
    async with firkin.open_runtime(config) as runtime:
        yield runtime


def use_machine(monkeypatch: pytest.MonkeyPatch, machine: SharedMachine, modules: Iterable[ModuleType]) -> None:
    """Let the tests of these modules have the machine, which is booted before they look at what there is."""

    @contextlib.asynccontextmanager
    async def machine_runtime(directory: Path, store: str = "ext4") -> AsyncIterator[firkin.Runtime]:
        async with lent_runtime(machine, directory) as runtime:
            yield runtime

    machine.start()
    for module in modules:
        monkeypatch.setattr(module, "real_runtime", machine_runtime)
