"""What every maker of guest images promises (ports/guest_image.py)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from firkin.domain.errors import GuestImageFailed
from firkin.ports.guest_image import GuestImage, GuestImages

_CPIO_MAGIC = b"070701"


async def test_many_who_ask_at_once_get_the_same_image(firkin_guest_images: GuestImages) -> None:
    images = await asyncio.gather(*(_asked(firkin_guest_images) for _ in range(3)))
    assert len(set(images)) == 1


def _asked(images: GuestImages) -> asyncio.Future[GuestImage]:
    return asyncio.ensure_future(images.image())


async def test_an_image_that_is_there_is_not_built_again(firkin_guest_images: GuestImages) -> None:
    steps: list[str] = []
    image = await firkin_guest_images.image()
    assert await firkin_guest_images.image(progress=steps.append) == image
    assert steps == []


async def test_an_image_is_three_files_and_the_initramfs_is_not_compressed(firkin_guest_images: GuestImages) -> None:
    image = await firkin_guest_images.image()
    assert image.key
    for path in (image.kernel, image.initramfs, image.root):
        assert path.is_absolute()
        assert path.is_file()
        assert path.stat().st_size > 0
    with image.initramfs.open("rb") as file:
        assert file.read(len(_CPIO_MAGIC)) == _CPIO_MAGIC


async def test_a_kernel_of_ones_own_makes_an_image_with_another_key_whose_building_is_told(
    firkin_guest_images: GuestImages, tmp_path: Path
) -> None:
    usual, steps = await firkin_guest_images.image(), list[str]()
    kernel = tmp_path / "a kernel"
    kernel.write_bytes(f"no program at all, {tmp_path}".encode())
    own = await firkin_guest_images.image(kernel, steps.append)
    assert own.key != usual.key
    assert own.kernel.read_bytes() == kernel.read_bytes()
    assert steps
    assert await firkin_guest_images.image(kernel) == own
    assert await firkin_guest_images.image() == usual


async def test_a_kernel_that_cannot_be_read_is_told(firkin_guest_images: GuestImages, tmp_path: Path) -> None:
    with pytest.raises(GuestImageFailed, match="absent"):
        await firkin_guest_images.image(tmp_path / "absent")


async def test_who_stops_waiting_for_an_image_disturbs_nobody(firkin_guest_images: GuestImages) -> None:
    for turns in range(3):
        task = _asked(firkin_guest_images)
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
    assert (await firkin_guest_images.image()).root.is_file()
