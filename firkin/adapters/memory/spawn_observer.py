"""An observer that remembers."""

from __future__ import annotations

from firkin.ports.spawn_observer import SpawnReport


class MemorySpawnObserver:
    """Keeps the port SpawnObserver with a list.

    Attributes:
        reports: all that it was told, in order.
    """

    def __init__(self) -> None:
        self.reports: list[SpawnReport] = []

    def pod_spawned(self, report: SpawnReport) -> None:
        """Remember it."""
        self.reports.append(report)
