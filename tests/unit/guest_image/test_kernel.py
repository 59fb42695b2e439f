"""Kernels of the user's own."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from firkin.adapters.guest_image_host.kernel import own_kernel
from firkin.domain.errors import GuestImageFailed


def _bz_image(path: Path, version: str) -> None:
    image = bytearray(0x600)
    image[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", image, 0x20E, 0x300)
    text = f"{version} (somebody@somewhere) #1\0".encode()
    image[0x500 : 0x500 + len(text)] = text
    path.write_bytes(image)


def test_its_version_and_the_modules_beside_it_are_found(tmp_path: Path) -> None:
    (tmp_path / "boot").mkdir()
    _bz_image(tmp_path / "boot/vmlinuz", "6.1.0-test")
    modules = tmp_path / "lib/modules/6.1.0-test"
    modules.mkdir(parents=True)
    kernel = own_kernel(tmp_path / "boot/vmlinuz")
    assert (kernel.version, kernel.modules) == ("6.1.0-test", modules)


def test_one_that_says_nothing_has_everything_built_in(tmp_path: Path) -> None:
    (tmp_path / "vmlinux").write_bytes(b"\x7fELF" + bytes(2000))
    kernel = own_kernel(tmp_path / "vmlinux")
    assert (kernel.version, kernel.modules) == ("", None)


def test_one_that_is_not_there_is_told_by_name(tmp_path: Path) -> None:
    with pytest.raises(GuestImageFailed, match="no-such-kernel: No such file"):
        own_kernel(tmp_path / "no-such-kernel")
