"""What every pod store promises (ports/store.py)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from firkin.domain.digest import Digest
from firkin.domain.errors import PodExists, StoreInUse
from firkin.domain.ids import PodId
from firkin.domain.store_spec import PodStoreSpec
from firkin.ports.store import PodStore, TemplateHolder

from ..claims import not_claimed

POD = PodId("pod-1")


async def test_one_pod_id_is_held_once_on_a_kept_store(firkin_pod_store: PodStore, kept_store: PodStoreSpec) -> None:
    async with firkin_pod_store.opened(kept_store, POD):
        with pytest.raises((PodExists, StoreInUse)):
            await _open_and_leave(firkin_pod_store, kept_store)


async def _open_and_leave(firkin_pod_store: PodStore, spec: PodStoreSpec) -> str:
    async with firkin_pod_store.opened(spec, POD) as medium:
        return medium.identity


async def test_it_opens_again_after_it_was_left(firkin_pod_store: PodStore, kept_store: PodStoreSpec) -> None:
    await _open_and_leave(firkin_pod_store, kept_store)
    await _open_and_leave(firkin_pod_store, kept_store)


async def test_a_refused_pod_does_not_disturb_the_holder(firkin_pod_store: PodStore, kept_store: PodStoreSpec) -> None:
    async with firkin_pod_store.opened(kept_store, POD):
        for _ in range(2):
            with pytest.raises((PodExists, StoreInUse)):
                await _open_and_leave(firkin_pod_store, kept_store)


async def test_a_kept_store_has_the_same_identity_each_time(
    firkin_pod_store: PodStore, kept_store: PodStoreSpec
) -> None:
    assert await _open_and_leave(firkin_pod_store, kept_store) == await _open_and_leave(firkin_pod_store, kept_store)


async def test_stores_at_two_paths_have_two_identities(
    firkin_pod_store: PodStore, kept_store: PodStoreSpec, tmp_path: Path
) -> None:
    other = PodStoreSpec.at(tmp_path / "other", kept_store.size)
    assert await _open_and_leave(firkin_pod_store, kept_store) != await _open_and_leave(firkin_pod_store, other)


async def test_a_body_that_fails_lets_go_of_the_store(firkin_pod_store: PodStore, kept_store: PodStoreSpec) -> None:
    with pytest.raises(ZeroDivisionError):
        async with firkin_pod_store.opened(kept_store, POD):
            raise ZeroDivisionError
    await _open_and_leave(firkin_pod_store, kept_store)


async def test_cancelling_at_any_moment_lets_go_of_the_store(
    firkin_pod_store: PodStore, kept_store: PodStoreSpec
) -> None:
    await _open_and_leave(firkin_pod_store, kept_store)
    for turns in range(6):
        task = asyncio.ensure_future(_open_and_leave(firkin_pod_store, kept_store))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        await _open_and_leave(firkin_pod_store, kept_store)


async def test_a_store_of_no_path_is_the_runtimes_own(firkin_pod_store: PodStore) -> None:
    async with firkin_pod_store.opened(PodStoreSpec(), POD) as medium:
        assert medium.path.is_absolute()
        assert medium.is_directory == (medium.filesystem == "")


async def test_a_template_is_held_as_often_as_asked_also_before_it_is_made(
    firkin_pod_store: PodStore, kept_store: PodStoreSpec
) -> None:
    if not isinstance(firkin_pod_store, TemplateHolder):
        return not_claimed("templates that are held")
    async with firkin_pod_store.opened(kept_store, POD) as medium:
        for chain_id in (Digest.of(b"one"), Digest.of(b"two"), Digest.of(b"one")):
            await firkin_pod_store.hold_template(medium, POD, chain_id)
    await _open_and_leave(firkin_pod_store, kept_store)
