"""A store that is full to its last block."""

from __future__ import annotations

from pathlib import Path

import pytest

import firkin
from firkin.errors import StoreFull

from .pods import HANG_SECONDS, real_runtime, shell

pytestmark = pytest.mark.real_time

# A kernel that keeps files in large pieces writes all of a piece or nothing: the small ones take what is left.
_FILL = "for size in 1024 4; do dd if=/dev/zero bs=${size}k >> /work/full; done; mkdir /work/more"


@pytest.mark.needs_root
async def test_a_store_that_is_full_to_its_last_block_is_told_and_made_room_in_by_who_runs(
    tmp_path: Path, busybox_image: str
) -> None:
    async with real_runtime(tmp_path, "ext4") as runtime:
        bundle = await runtime.images.resolve(busybox_image)
        store = firkin.PodStoreSpec(size=firkin.Size.mib(24))
        config = firkin.VmConfig(boot_timeout_seconds=HANG_SECONDS)
        spec = firkin.PodBuilder("pod-1", config, store).empty_dir(firkin.EmptyDirVolume.disk("work"))
        runs = shell("runs", bundle, "sleep 1000").empty_dir_mount("work", "/work")
        later = shell("later", bundle, "echo fine").empty_dir_mount("work", "/work")
        async with runtime.spawn(spec.container(runs).build()) as pod:
            filled = await (await pod.container("runs").exec("sh", "-c", _FILL)).wait_with_output()
            assert filled.stderr.count(b"No space left on device") == 3, filled
            with pytest.raises(StoreFull):
                await pod.write_empty_dir_file("work", "more", bytes(2**20))
            # Each container needs a few blocks of its own, for the directories that are mounted on.
            with pytest.raises(StoreFull):
                await pod.add_container(later)
            emptied = await (await pod.container("runs").exec("rm", "/work/full")).wait_with_output()
            assert emptied.status.success
            await pod.write_empty_dir_file("work", "more", bytes(2**20))
            await pod.add_container(later)
            assert (await pod.wait_container("later")).stdout == b"fine\n"
            report = await pod.stop(grace_seconds=0)
        assert report.clean, report
