"""Pod stores in memory."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from firkin.domain.errors import PodExists
from firkin.domain.ids import PodId
from firkin.domain.store_spec import PodStoreSpec
from firkin.ports.store import StoreMedium

from .world import MemoryWorld


class MemoryPodStore:
    """A directory store in memory: several pods may share it, and its templates stay."""

    def __init__(self, world: MemoryWorld | None = None) -> None:
        self.world = world or MemoryWorld()

    @contextlib.asynccontextmanager
    async def opened(self, spec: PodStoreSpec, pod_id: PodId) -> AsyncIterator[StoreMedium]:
        """Hold the store for a pod.

        Raises:
            PodExists: a pod of this id holds it.
        """
        path = spec.path or Path("/memory/store")
        identity = f"memory:{path}"
        await self.world.faults.reach("store.open")
        store = self.world.store(identity)
        if pod_id in store.holders:
            raise PodExists(pod_id)
        store.holders.add(pod_id)
        try:
            await self.world.faults.reach("store.open", after=True)
            yield StoreMedium(path, "", identity)
        finally:
            store.pods.pop(pod_id, None)
            store.holders.discard(pod_id)
