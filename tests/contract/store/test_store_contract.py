"""What every pod store promises (ports/store.py)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from firkin.adapters.memory import MemoryPodStore
from firkin.adapters.store_directory import DirectoryPodStore
from firkin.adapters.store_ext4 import Ext4PodStore
from firkin.domain.errors import PodExists, StoreInUse
from firkin.domain.ids import PodId
from firkin.domain.size import Size
from firkin.domain.store_spec import PodStoreSpec
from firkin.ports.store import PodStore

pytestmark = pytest.mark.real_time

POD = PodId("pod-1")

_MAKERS: dict[str, Callable[[Path], PodStore]] = {
    "memory": lambda _: MemoryPodStore(),
    "directory": DirectoryPodStore,
    "ext4": Ext4PodStore,
}


@pytest.fixture(params=list(_MAKERS))
def store(request: pytest.FixtureRequest, tmp_path: Path) -> PodStore:
    return _MAKERS[str(request.param)](tmp_path / "state")


@pytest.fixture
def kept(tmp_path: Path) -> PodStoreSpec:
    return PodStoreSpec.at(tmp_path / "kept", Size.mib(64))


async def test_one_pod_id_is_held_once_on_a_kept_store(store: PodStore, kept: PodStoreSpec) -> None:
    async with store.opened(kept, POD):
        with pytest.raises((PodExists, StoreInUse)):
            await _open_and_leave(store, kept)


async def _open_and_leave(store: PodStore, spec: PodStoreSpec) -> str:
    async with store.opened(spec, POD) as medium:
        return medium.identity


async def test_it_opens_again_after_it_was_left(store: PodStore, kept: PodStoreSpec) -> None:
    await _open_and_leave(store, kept)
    await _open_and_leave(store, kept)


async def test_a_refused_pod_does_not_disturb_the_holder(store: PodStore, kept: PodStoreSpec) -> None:
    async with store.opened(kept, POD):
        for _ in range(2):
            with pytest.raises((PodExists, StoreInUse)):
                await _open_and_leave(store, kept)


async def test_a_kept_store_has_the_same_identity_each_time(store: PodStore, kept: PodStoreSpec) -> None:
    assert await _open_and_leave(store, kept) == await _open_and_leave(store, kept)


async def test_stores_at_two_paths_have_two_identities(store: PodStore, kept: PodStoreSpec, tmp_path: Path) -> None:
    other = PodStoreSpec.at(tmp_path / "other", kept.size)
    assert await _open_and_leave(store, kept) != await _open_and_leave(store, other)


async def test_a_body_that_fails_lets_go_of_the_store(store: PodStore, kept: PodStoreSpec) -> None:
    with pytest.raises(ZeroDivisionError):
        async with store.opened(kept, POD):
            raise ZeroDivisionError
    await _open_and_leave(store, kept)


async def test_cancelling_at_any_moment_lets_go_of_the_store(store: PodStore, kept: PodStoreSpec) -> None:
    await _open_and_leave(store, kept)
    for turns in range(6):
        task = asyncio.ensure_future(_open_and_leave(store, kept))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        await _open_and_leave(store, kept)


async def test_a_store_of_no_path_is_the_runtimes_own(store: PodStore) -> None:
    async with store.opened(PodStoreSpec(), POD) as medium:
        assert medium.path.is_absolute()
        assert medium.is_directory == (medium.filesystem == "")
