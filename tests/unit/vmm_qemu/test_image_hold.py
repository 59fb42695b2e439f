"""A machine holds the image that it runs from, from before its QEMU starts until it has ended."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from firkin.adapters.memory import MemoryGuestImages
from firkin.adapters.vmm_qemu import QemuSettings, QemuVmm
from firkin.adapters.vmm_qemu.image_hold import held_image
from firkin.config import ADMINISTRATION_PATH
from firkin.domain.errors import BootFailed
from firkin.domain.ids import PodId
from firkin.domain.vm_config import VmConfig
from firkin.ports.guest_image import BuildProgress, GuestImage
from firkin.ports.store import StoreMedium
from firkin.ports.vmm import SandboxRequest
from tests.descriptors import open_descriptors, opened_since

# Stands for a QEMU: tells whether anybody could give the image's space back now, and ends.
_LOOKS_AT_THE_IMAGE = """#!/bin/sh
flock --exclusive --nonblock {root} true && echo free || echo held
exit 1
"""


class DisturbedImages:
    """Keeps the port GuestImages; what is found comes to something before anybody can hold it."""

    def __init__(self, directory: Path, *disturbances: Callable[[GuestImage], None]) -> None:
        self._images = MemoryGuestImages(directory)
        self._disturbances = list(disturbances)
        self.asked = 0

    async def image(self, kernel: Path | None = None, progress: BuildProgress | None = None) -> GuestImage:
        self.asked += 1
        image = await self._images.image(kernel, progress)
        if self._disturbances:
            self._disturbances.pop(0)(image)
        return image


def _removed(image: GuestImage) -> None:
    shutil.rmtree(image.root.parent)


def _is_free(image: GuestImage) -> bool:
    with image.root.open("rb") as root:
        try:
            fcntl.flock(root, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


async def test_an_image_is_held_until_the_hold_is_closed(tmp_path: Path) -> None:
    with ExitStack() as hold:
        image = await held_image(MemoryGuestImages(tmp_path), None, None, hold)
        assert not _is_free(image)
    assert _is_free(image)


async def test_one_that_is_removed_after_it_was_found_is_made_again(tmp_path: Path) -> None:
    images, steps = DisturbedImages(tmp_path, _removed, _removed), list[str]()
    with ExitStack() as hold:
        image = await held_image(images, None, steps.append, hold)
        assert image.root.read_bytes() == b"root"
        assert not _is_free(image)
    assert (images.asked, len(steps)) == (3, 3)


async def test_one_at_which_somebody_looks_for_a_moment_is_waited_for(tmp_path: Path) -> None:
    before = open_descriptors()
    with ExitStack() as looking, ExitStack() as hold:

        def look(image: GuestImage) -> None:
            root = looking.enter_context(image.root.open("rb"))
            fcntl.flock(root, fcntl.LOCK_EX)
            asyncio.get_running_loop().call_later(5, looking.close)

        image = await held_image(DisturbedImages(tmp_path, look), None, None, hold)
        assert not _is_free(image)
    assert not opened_since(before)


async def test_one_that_is_removed_each_time_is_an_error_and_leaves_nothing_open(tmp_path: Path) -> None:
    before = open_descriptors()
    images = DisturbedImages(tmp_path, *[_removed] * 10_000)
    with ExitStack() as hold, pytest.raises(BootFailed, match="is locked, or is removed"):
        await held_image(images, None, None, hold)
    assert images.asked > 3
    assert not opened_since(before)


@pytest.mark.real_time
async def test_qemu_starts_while_the_image_is_held_and_a_failed_boot_lets_go_of_it(tmp_path: Path) -> None:
    images = MemoryGuestImages(tmp_path / "images")
    image = await images.image()
    programs = tmp_path / "bin"
    programs.mkdir()
    qemu = programs / "qemu-system-x86_64"
    qemu.write_text(_LOOKS_AT_THE_IMAGE.format(root=image.root))
    qemu.chmod(0o755)
    search_path = f"{programs}:{os.environ['PATH']}:{ADMINISTRATION_PATH}"
    settings = QemuSettings(acceleration="tcg", vsock="vhost_user")
    store = StoreMedium(tmp_path / "store.ext4", "ext4", "a store")
    request = SandboxRequest(PodId("pod-1"), VmConfig(), store, "guest-name")
    # Sockets are below it, whose paths are short ones.
    with (
        tempfile.TemporaryDirectory(prefix="fk-", dir="/tmp") as place,
        pytest.raises(BootFailed, match="exited with status 1") as failed,
    ):
        async with QemuVmm(Path(place), images, search_path, settings).booted(request):
            pass
    assert failed.value.console_tail.split() == ["held"]
    assert (failed.value.step, failed.value.phase, failed.value.exit_status) == ("start QEMU", "boot", 1)
    assert _is_free(image)
