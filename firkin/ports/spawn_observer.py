"""Who is told how pods were spawned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import msgspec


class SpawnReport(msgspec.Struct, frozen=True):
    """A spawn that is over.

    Attributes:
        began_unix_seconds: when it began.
        stage_seconds: what its stages took, in their order; the last one failed if there is an error.
        error: the code of the error that it failed with, "" when the pod runs.
    """

    pod_id: str
    began_unix_seconds: float
    stage_seconds: Mapping[str, float]
    error: str = ""


@runtime_checkable
class SpawnObserver(Protocol):
    """Keeps or passes on what it is told; it must neither wait nor fail."""

    def pod_spawned(self, report: SpawnReport) -> None:
        """A pod runs, or failed to."""
        ...
