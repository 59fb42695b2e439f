"""What every place with leftovers promises: in memory, of supervisors, of stores, and of sandboxes."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from itertools import count
from pathlib import Path

import pytest
from msgspec.structs import replace

from firkin.adapters.memory import MemoryLeftovers
from firkin.adapters.pod_registry_files import FilePodRegistry, PodLeftovers
from firkin.adapters.store_directory import DirectoryLeftovers, DirectoryPodStore
from firkin.adapters.store_directory.locks import LOCKS, pod_lock
from firkin.adapters.store_ext4 import ImageLeftovers
from firkin.adapters.vmm_namespace import SandboxLeftovers
from firkin.domain.ids import PodId
from firkin.domain.supervised_pod import PodRecord, SupervisedPhase
from firkin.ports.leftovers import Leftover, Leftovers
from firkin.testkit.stocked import StockedLeftovers


class _OfMemory:
    def __init__(self, _: Path) -> None:
        self._memory = MemoryLeftovers()
        self.place: Leftovers = self._memory
        self._numbers = count()

    async def add(self) -> None:
        self._memory.add(Leftover("file", f"left-{next(self._numbers)}"))

    def revived(self, leftover: Leftover) -> AbstractContextManager[None]:
        return self._memory.revived(leftover)


class _OfSupervisors:
    """Pods that wanted to be forgotten at their end, which they did not live to see."""

    def __init__(self, directory: Path) -> None:
        self.place: Leftovers = PodLeftovers(directory)
        self._directory = directory
        self._registry = FilePodRegistry(directory)
        self._numbers = count()

    async def add(self) -> None:
        """Written elsewhere: whoever enters a pod tidies up first."""
        elsewhere, number = self._directory / f"elsewhere-{next(self._numbers)}", next(self._numbers)
        registry = FilePodRegistry(elsewhere)
        with registry.claimed(_running(f"pod-{number}")):
            pass
        self._registry.pods.mkdir(parents=True, exist_ok=True)
        (registry.pods / f"pod-{number}").rename(self._registry.pods / f"pod-{number}")

    @contextlib.contextmanager
    def revived(self, leftover: Leftover) -> Iterator[None]:
        name = PodId(Path(leftover.name).name)
        self._registry.remove(name)
        with self._registry.claimed(_running(name)):
            yield


def _running(name: str) -> PodRecord:
    return replace(PodRecord(id=PodId(name), phase=SupervisedPhase.RUNNING), is_removed_at_end=True)


class _OfImages:
    def __init__(self, directory: Path) -> None:
        self.place: Leftovers = ImageLeftovers(directory)
        self._images = directory / "pod-stores"
        self._numbers = count()

    async def add(self) -> None:
        self._images.mkdir(parents=True, exist_ok=True)
        (self._images / f"pod-{next(self._numbers)}.ext4").touch()

    def revived(self, leftover: Leftover) -> AbstractContextManager[None]:
        return _locked(Path(leftover.name))


class _OfSandboxes:
    def __init__(self, directory: Path) -> None:
        self.place: Leftovers = SandboxLeftovers(directory)
        self._directory = directory
        self._numbers = count()

    async def add(self) -> None:
        (self._directory / f"pod-1-{next(self._numbers):08x}").mkdir(parents=True)

    def revived(self, leftover: Leftover) -> AbstractContextManager[None]:
        return _locked(Path(leftover.name))


class _OfPodsInDirectories:
    def __init__(self, directory: Path) -> None:
        self.place: Leftovers = DirectoryLeftovers(directory)
        self._store = directory / "store"
        self._state = DirectoryPodStore(directory)
        self._numbers = count()

    async def add(self) -> None:
        (self._store / LOCKS).mkdir(parents=True, exist_ok=True)
        (self._store / "pods" / f"pod-{next(self._numbers)}" / "containers").mkdir(parents=True)

    @contextlib.contextmanager
    def revived(self, leftover: Leftover) -> Iterator[None]:
        with pod_lock(self._store / LOCKS, PodId(Path(leftover.name).name)):
            yield


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """As its owner holds it (flock(2)); the kernel lets go of it with the descriptor."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


_MAKERS: dict[str, Callable[[Path], StockedLeftovers]] = {
    "memory": _OfMemory,
    "supervisors": _OfSupervisors,
    "store images": _OfImages,
    "directory store": _OfPodsInDirectories,
    "sandboxes": _OfSandboxes,
}


@pytest.fixture(params=list(_MAKERS))
def firkin_left_behind(request: pytest.FixtureRequest, tmp_path: Path) -> StockedLeftovers:
    return _MAKERS[str(request.param)](tmp_path)
