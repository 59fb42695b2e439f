"""What every pod store promises to the pods that run on it, whatever sandbox mounts it (ports/store.py)."""

from __future__ import annotations

import pytest

from firkin.domain.errors import PodExists, StoreDamaged, StoreInUse, StoreTooSmall
from firkin.domain.ids import PodId
from firkin.domain.size import Size
from firkin.domain.store_spec import PodStoreSpec
from firkin.domain.volumes import EmptyDirVolume
from firkin.ports.agent_templates import TemplateProgress

from ..claims import not_claimed
from ..stored_pods import StoredPods

_MIB = 2**20
_FILL = "dd if=/dev/zero of=/file bs=1M count=200 2>&1 | grep -c 'No space left on device'; sync"


async def test_who_fills_a_store_meets_its_end_and_the_room_that_is_made_is_given_back(
    firkin_stored_pods: StoredPods,
) -> None:
    if not firkin_stored_pods.is_image:
        return not_claimed("stores that have a size")
    builder = firkin_stored_pods.builder("pod-1", PodStoreSpec(size=Size.mib(64)))
    async with firkin_stored_pods.runtime() as runtime, runtime.spawn(builder.build()) as pod:
        await pod.add_container(firkin_stored_pods.shell("fills", _FILL))
        assert (await pod.wait_container("fills")).stdout == b"1\n"
        assert (await pod.store_usage()).available_bytes < _MIB
        breakdown = await pod.store_breakdown()
        assert breakdown.containers["fills"].bytes > 32 * _MIB
        full = firkin_stored_pods.allocated_bytes()
        assert 32 * _MIB < full <= 65 * _MIB
        await pod.remove_container("fills")
        assert await pod.trim_store() > 32 * _MIB
        assert firkin_stored_pods.allocated_bytes() < full - 32 * _MIB
        await pod.add_container(firkin_stored_pods.shell("again", "head -c 8000000 /dev/zero > /file && echo fits"))
        assert (await pod.wait_container("again")).stdout == b"fits\n"
        assert (await pod.stop()).clean


async def test_a_kept_store_gives_the_next_pod_its_templates_and_nothing_of_the_last_one(
    firkin_stored_pods: StoredPods,
) -> None:
    store = firkin_stored_pods.kept(Size.mib(128))
    work = EmptyDirVolume.disk("work")
    write = firkin_stored_pods.shell("writes", "head -c 8000000 /dev/zero > /work/file; sync; echo written")
    read = firkin_stored_pods.shell("reads", "ls /work | wc -l")
    made: list[TemplateProgress] = []
    async with firkin_stored_pods.runtime() as runtime:
        builder = firkin_stored_pods.builder("pod-1", store).empty_dir(work)
        async with runtime.spawn(builder.container(write.empty_dir_mount("work", "/work")).build()) as pod:
            assert (await pod.wait_container("writes")).stdout == b"written\n"
            breakdown = await pod.store_breakdown()
            assert breakdown.templates.bytes > 0
            assert breakdown.volumes["work"].bytes > 7 * _MIB
            assert (await pod.stop()).clean
        builder = firkin_stored_pods.builder("pod-2", store).empty_dir(work)
        spec = builder.container(read.empty_dir_mount("work", "/work")).build()
        async with runtime.spawn(spec, progress=made.append) as pod:
            assert (await pod.wait_container("reads")).stdout == b"0\n"
            assert made == []
            again = await pod.store_breakdown()
            assert again.templates == breakdown.templates
            assert (set(again.containers), set(again.volumes)) == ({"reads"}, {"work"})
            assert again.volumes["work"].bytes < _MIB
            assert (await pod.stop()).clean


async def test_who_asks_for_a_store_that_somebody_has_is_refused_and_does_not_disturb_him(
    firkin_stored_pods: StoredPods,
) -> None:
    store = firkin_stored_pods.kept(Size.mib(64))
    spec = firkin_stored_pods.builder("pod-1", store).build()
    async with firkin_stored_pods.runtime() as runtime, runtime.spawn(spec) as pod:
        with pytest.raises((PodExists, StoreInUse)):
            await runtime.spawn(spec)
        if firkin_stored_pods.is_image:
            with pytest.raises(StoreInUse):
                await runtime.spawn(firkin_stored_pods.builder("pod-2", store).build())
        await pod.add_container(firkin_stored_pods.shell("goes-on", "echo there > /file; sync; cat /file"))
        assert (await pod.wait_container("goes-on")).stdout == b"there\n"
        assert (await pod.stop()).clean


async def test_a_store_that_is_too_small_or_damaged_is_told_and_serves_again_when_it_is_whole(
    firkin_stored_pods: StoredPods,
) -> None:
    if not firkin_stored_pods.is_image:
        return not_claimed("stores that are a filesystem")
    too_small = firkin_stored_pods.builder("pod-1", PodStoreSpec(size=Size.mib(8)))
    kept = firkin_stored_pods.kept(Size.mib(64))
    spec = firkin_stored_pods.builder("pod-1", kept).build()
    async with firkin_stored_pods.store.opened(kept, PodId("pod-1")) as medium:
        path = medium.path
    whole = path.read_bytes()
    async with firkin_stored_pods.runtime() as runtime:
        with pytest.raises(StoreTooSmall):
            await runtime.spawn(too_small.build())
        path.write_bytes(b"no filesystem" + bytes(len(whole) - 13))
        for _ in range(2):
            with pytest.raises(StoreDamaged):
                await runtime.spawn(spec)
        path.write_bytes(whole)
        async with runtime.spawn(spec) as pod:
            await pod.add_container(firkin_stored_pods.shell("again", "echo whole"))
            assert (await pod.wait_container("again")).stdout == b"whole\n"
            assert (await pod.stop()).clean
