"""Guest images of this machine's own files."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from pathlib import Path

import msgspec
import pytest

from firkin.adapters.guest_image_host import HostGuestImages, interpreter
from firkin.adapters.vmm_qemu import PROGRAM
from firkin.adapters.vmm_qemu.acceleration import TCG, boot_failure
from firkin.domain.errors import MissingTool
from firkin.ports.guest_image import GuestImage

from .machines import BOOT_SECONDS, SEARCH_PATH, guest_images

pytestmark = pytest.mark.real_time


async def _with_kernel_of(kept: GuestImage, directory: Path) -> HostGuestImages:
    """Images elsewhere, by the kernel that the tests have already."""
    kernels = kept.kernel.parents[2] / "kernels"
    await asyncio.to_thread(shutil.copytree, kernels, directory / "kernels")
    return HostGuestImages(directory, SEARCH_PATH)


def _digests(image: GuestImage) -> list[str]:
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in (image.kernel, image.initramfs, image.root)]


async def test_the_same_files_make_the_same_image_and_two_who_want_it_build_it_once(tmp_path: Path) -> None:
    kept = await guest_images().image()
    images = await _with_kernel_of(kept, tmp_path)
    steps: list[str] = []
    first, second = await asyncio.gather(images.image(progress=steps.append), images.image(progress=steps.append))
    assert first == second
    assert first.key == kept.key
    assert await asyncio.to_thread(_digests, first) == await asyncio.to_thread(_digests, kept)
    assert sum(step.startswith("packing the guest's root") for step in steps) == 1


async def test_an_image_that_is_there_is_taken_without_building(tmp_path: Path) -> None:
    steps: list[str] = []
    kept = await guest_images().image()
    assert await guest_images().image(progress=steps.append) == kept
    assert steps == []
    assert kept.kernel_version.endswith("-cloud-amd64")


async def test_a_probe_boots_the_kernel_as_far_as_its_initramfs_within_the_time_that_it_is_given() -> None:
    image, qemu = await guest_images().image(), shutil.which(PROGRAM, path=SEARCH_PATH)
    assert qemu is not None
    assert await boot_failure(qemu, image, TCG, BOOT_SECONDS) == ""
    assert await boot_failure(qemu, image, TCG, 0.01) == "did not boot within 0.01 s"
    refused = await boot_failure(qemu, image, "none-such", BOOT_SECONDS)
    assert refused.startswith("ended before it had booted (")
    assert "none-such" in refused


async def test_a_firkin_that_puts_other_files_into_it_makes_another_image(tmp_path: Path) -> None:
    kept = await guest_images().image()
    recipes = [msgspec.json.decode(path.read_bytes()) for path in (kept.root.parents[2] / "recipes").glob("*.json")]
    looked_at = [recipe["looked_at"] for recipe in recipes if recipe["key"] == kept.key]
    assert interpreter.__file__ in looked_at[-1]


async def test_a_missing_tool_is_told_with_its_package_and_leaves_no_image(tmp_path: Path) -> None:
    kept = await guest_images().image()
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("ldd", "crun", "mke2fs", "busybox"):
        found = shutil.which(name, path=SEARCH_PATH)
        assert found is not None
        (tools / name).symlink_to(found)
    (await _with_kernel_of(kept, tmp_path / "guest"))
    images = HostGuestImages(tmp_path / "guest", str(tools))
    with pytest.raises(MissingTool) as caught:
        await images.image()
    assert caught.value.package
    assert not list((tmp_path / "guest/images").iterdir())
