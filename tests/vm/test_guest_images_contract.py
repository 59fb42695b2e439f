"""What every maker of guest images promises, of this machine's own files."""

from __future__ import annotations

import asyncio
import shutil

import pytest

from firkin.adapters.guest_image_host import HostGuestImages

from .machines import SEARCH_PATH, guest_images


@pytest.fixture(scope="module", params=["host"])
def firkin_guest_images(tmp_path_factory: pytest.TempPathFactory) -> HostGuestImages:
    """Elsewhere than those of all tests, which are not to be given other kernels; the usual kernel is there already."""
    directory = tmp_path_factory.mktemp("guest")
    kept = asyncio.run(guest_images().image())
    shutil.copytree(kept.kernel.parents[2] / "kernels", directory / "kernels")
    return HostGuestImages(directory, SEARCH_PATH)
