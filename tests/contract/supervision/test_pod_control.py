"""What every way to a pod's supervisor promises: in the same process, and over a socket."""

from __future__ import annotations

from pathlib import Path

import pytest

from firkin.adapters.log_files import FileLogKeeper
from firkin.adapters.pod_registry_files import FilePodRegistry
from firkin.adapters.supervisor_grpc import GrpcControlConnector, GrpcControlServer
from firkin.testkit.supervised_pods import SupervisedPods


@pytest.fixture(params=["memory", "grpc"])
def firkin_pod_control(request: pytest.FixtureRequest, tmp_path: Path) -> SupervisedPods:
    if request.param == "memory":
        return SupervisedPods.in_memory()
    # Deeper than the path of a socket may be.
    registry = FilePodRegistry(tmp_path / ("deep" * 20) / ("deeper" * 20))
    connector = GrpcControlConnector(registry, registry.pods)
    return SupervisedPods(registry, FileLogKeeper(registry.pods), GrpcControlServer(), connector)
