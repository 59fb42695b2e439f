"""What is kept of guest images: listed, in use, and given back."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from firkin.adapters.guest_image_host import KeptGuestImages
from firkin.adapters.vmm_qemu.image_hold import image_held
from firkin.application.reclaiming import reclaimed
from firkin.domain.reclaiming import Reclaimable, ReclaimableKind
from firkin.ports.guest_image import GuestImage

pytestmark = pytest.mark.real_time


def image(directory: Path, key: str, last_used: float) -> GuestImage:
    place = directory / "images" / key
    place.mkdir(parents=True)
    for name in ("vmlinuz", "initramfs", "root.erofs"):
        (place / name).write_bytes(b"x" * 4096)
    os.utime(place, (last_used, last_used))
    return GuestImage(key, place / "vmlinuz", "6.1", place / "initramfs", place / "root.erofs")


def kernel(directory: Path, name: str, last_used: float) -> None:
    place = directory / "kernels" / name
    place.mkdir(parents=True)
    (place / "vmlinuz").write_bytes(b"x" * 4096)
    os.utime(place, (last_used, last_used))


async def kept(directory: Path) -> dict[str, Reclaimable]:
    return {item.identity: item for item in await KeptGuestImages(directory).items()}


async def test_where_nothing_was_ever_built_nothing_is_kept(tmp_path: Path) -> None:
    assert await kept(tmp_path / "absent") == {}


async def test_images_and_kernels_are_told_with_what_they_take_and_when_they_were_used(tmp_path: Path) -> None:
    image(tmp_path, "aaaa", 1000)
    kernel(tmp_path, "linux", 2000)
    found = await kept(tmp_path)
    assert (found["aaaa"].kind, found["aaaa"].last_used) == (ReclaimableKind.GUEST_IMAGE, 1000)
    assert (found["linux"].kind, found["linux"].last_used) == (ReclaimableKind.GUEST_KERNEL, 2000)
    assert found["aaaa"].size_bytes == 3 * found["linux"].size_bytes > 0


async def test_an_image_from_which_a_machine_runs_stays(tmp_path: Path) -> None:
    used, unused = image(tmp_path, "aaaa", 1000), image(tmp_path, "bbbb", 2000)
    with image_held(used) as is_held, image_held(used) as is_held_twice:
        assert is_held
        assert is_held_twice
        decisions = await reclaimed([KeptGuestImages(tmp_path)])
        assert {one.item.identity: one.reason for one in decisions if not one.is_removed} == {
            "aaaa": "a machine runs from it"
        }
        assert used.root.exists()
        assert not unused.root.exists()
        with image_held(unused) as is_held:
            assert not is_held
    assert [one.is_removed for one in await reclaimed([KeptGuestImages(tmp_path)])] == [True]
    assert os.listdir(tmp_path / "images") == []


async def test_an_image_that_comes_into_use_after_it_was_listed_stays(tmp_path: Path) -> None:
    used = image(tmp_path, "aaaa", 1000)
    space = KeptGuestImages(tmp_path)
    (item,) = await space.items()
    with image_held(used):
        assert (await space.reclaim(item)).held == "a machine runs from it"
    assert (await space.reclaim(item)).held == ""
    assert (await space.reclaim(item)).held == ""


async def test_an_image_that_is_being_removed_is_not_taken(tmp_path: Path) -> None:
    going = image(tmp_path, "aaaa", 1000)
    with going.root.open("rb") as root:
        fcntl.flock(root, fcntl.LOCK_EX)
        with image_held(going) as is_held:
            assert not is_held


async def test_what_was_not_used_for_the_longest_time_goes_first(tmp_path: Path) -> None:
    image(tmp_path, "young", 2000)
    image(tmp_path, "old", 1000)
    size = (await kept(tmp_path))["old"].size_bytes
    await reclaimed([KeptGuestImages(tmp_path)], size)
    assert set(await kept(tmp_path)) == {"young"}


async def test_what_an_interrupted_build_left_goes_and_what_is_being_built_stays(tmp_path: Path) -> None:
    (tmp_path / "images/.building-x").mkdir(parents=True)
    building = os.open(tmp_path / "images", os.O_RDONLY)
    fcntl.flock(building, fcntl.LOCK_EX)
    assert (await kept(tmp_path))[".building-x"].held == "it is being built"
    os.close(building)
    decisions = await reclaimed([KeptGuestImages(tmp_path)], 1 << 40)
    assert [(one.item.identity, one.is_removed) for one in decisions] == [(".building-x", True)]
