"""Who is told how pods were spawned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import msgspec


class ContainerStart(msgspec.Struct, frozen=True):
    """A start of a container that is over.

    Attributes:
        began_unix_seconds: when it began.
        pod_stage: the stage of its pod's spawn that it is a part of.
        stage_seconds: what its stages took (`CONTAINER_STAGES`), in their order.
        error: the code of the error that it failed with, "" when its command runs.
        failed_stage: the stage that failed, "" when none did.
    """

    container_id: str
    began_unix_seconds: float
    pod_stage: str
    stage_seconds: Mapping[str, float]
    error: str = ""
    failed_stage: str = ""


class SpawnReport(msgspec.Struct, frozen=True):
    """A spawn that is over.

    Attributes:
        began_unix_seconds: when it began.
        stage_seconds: what its stages took (`POD_STAGES`), in their order; the last one failed if there is an error.
        error: the code of the error that it failed with, "" when the pod runs.
        containers: the starts that were a part of it, in the order in which they were over; init containers may have
            several.
    """

    pod_id: str
    began_unix_seconds: float
    stage_seconds: Mapping[str, float]
    error: str = ""
    containers: tuple[ContainerStart, ...] = ()


@runtime_checkable
class SpawnObserver(Protocol):
    """Keeps or passes on what it is told; it must neither wait nor fail."""

    def pod_spawned(self, report: SpawnReport) -> None:
        """A pod runs, or failed to."""
        ...
