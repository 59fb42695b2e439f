"""What every observer of spawns promises."""

from __future__ import annotations

import pytest

from firkin.adapters.memory import MemorySpawnObserver
from firkin.adapters.tracing_opentelemetry import OpenTelemetryObserver
from firkin.ports.spawn_observer import SpawnObserver


@pytest.fixture(params=["memory", "opentelemetry"])
def firkin_spawn_observer(request: pytest.FixtureRequest) -> SpawnObserver:
    return MemorySpawnObserver() if request.param == "memory" else OpenTelemetryObserver()
