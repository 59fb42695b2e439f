"""What exists in memory: stores, sandboxes and connections."""

from __future__ import annotations

from firkin.domain.digest import Digest
from firkin.domain.ids import PodId

from .faults import Faults
from .sandbox import MemorySandbox


class MemoryStore:
    """One pod store: its templates, and the files of each pod that lies on it."""

    def __init__(self) -> None:
        self.templates: set[Digest] = set()
        self.pods: dict[PodId, dict[str, bytes]] = {}
        self.holders: set[PodId] = set()


class MemoryWorld:
    """Shared by the memory adapters of one runtime.

    Attributes:
        faults: makes port calls fail.
        stores: by identity; kept after the pods are gone, as templates are.
        sandboxes: those that live, by id.
        connections: how many agents are connected.
    """

    def __init__(self) -> None:
        self.faults = Faults()
        self.stores: dict[str, MemoryStore] = {}
        self.sandboxes: dict[str, MemorySandbox] = {}
        self.connections = 0

    def store(self, identity: str) -> MemoryStore:
        """The store of this identity, made when absent."""
        return self.stores.setdefault(identity, MemoryStore())

    def leftovers(self) -> list[str]:
        """What pods left behind, in words; empty when all is undone. Templates are meant to stay."""
        left = [f"sandbox {name}" for name in self.sandboxes]
        left += [f"connection {number}" for number in range(self.connections)]
        for identity, store in self.stores.items():
            left += [f"pod {pod_id} on store {identity}" for pod_id in store.pods]
            left += [f"lock of pod {pod_id} on store {identity}" for pod_id in store.holders]
        return left
