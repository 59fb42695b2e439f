"""Tests of pods without an event loop, unchanged, in a machine."""

from __future__ import annotations

from pathlib import Path

import pytest

import firkin
from firkin.adapters.agent_grpc import GrpcAgentConnector
from tests.integration.pod import test_sync_pod
from tests.integration.pod.test_sync_pod import (
    test_control_c_ends_the_pod_and_leaves_nothing,
    test_threads_share_a_pod_and_leave_nothing,
)

from .machines import BOOT_SECONDS
from .shared_machine import SharedMachine

__all__ = ["test_control_c_ends_the_pod_and_leaves_nothing", "test_threads_share_a_pod_and_leave_nothing"]

pytestmark = pytest.mark.real_time


@pytest.fixture(autouse=True)
def in_a_machine(monkeypatch: pytest.MonkeyPatch, shared_machine: SharedMachine) -> None:
    """Let the runtimes of the tests have the machine in place of namespaces."""

    def config(directory: Path) -> firkin.RuntimeConfig:
        return firkin.RuntimeConfig(
            vmm=shared_machine,
            store="ext4",
            agents=GrpcAgentConnector(BOOT_SECONDS),
            state_dir=directory / "state",
            runtime_dir=directory / "run",
        )

    shared_machine.start()
    monkeypatch.setattr(test_sync_pod, "config", config)
