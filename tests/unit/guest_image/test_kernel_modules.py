"""Kernel modules come behind those that they need."""

from __future__ import annotations

import gzip
import lzma
from pathlib import Path

import zstandard

from firkin.adapters.guest_image_host.kernel_modules import KernelModules, module_bytes


def _module(directory: Path, name: str, *needed: str) -> None:
    path = directory / "kernel" / f"{name}.ko"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"\x7fELF...\0license=GPL\0depends=" + ",".join(needed).encode() + b"\0name=x\0")


def test_a_module_comes_behind_all_that_it_needs(tmp_path: Path) -> None:
    _module(tmp_path, "virtio_pci", "virtio", "virtio_ring")
    _module(tmp_path, "virtio")
    _module(tmp_path, "virtio_ring", "virtio")
    _module(tmp_path, "virtio_blk", "virtio_ring")
    ordered = KernelModules(tmp_path).in_load_order(["virtio_pci", "virtio_blk"])
    assert list(ordered) == ["virtio", "virtio_ring", "virtio_pci", "virtio_blk"]


def test_what_is_built_in_is_left_out(tmp_path: Path) -> None:
    _module(tmp_path, "overlay", "built_in")
    assert list(KernelModules(tmp_path).in_load_order(["overlay", "ext4"])) == ["overlay"]
    assert KernelModules(None).in_load_order(["overlay"]) == {}


def test_names_with_dashes_are_found_by_their_underscores(tmp_path: Path) -> None:
    _module(tmp_path, "crc-itu-t")
    _module(tmp_path, "user", "crc-itu-t")
    assert list(KernelModules(tmp_path).in_load_order(["user"])) == ["crc_itu_t", "user"]


def test_compressed_modules_are_unpacked(tmp_path: Path) -> None:
    elf = b"\x7fELF"
    packed = {".gz": gzip.compress(elf), ".xz": lzma.compress(elf), ".zst": zstandard.ZstdCompressor().compress(elf)}
    for suffix, data in packed.items():
        path = tmp_path / f"module.ko{suffix}"
        path.write_bytes(data)
        assert module_bytes(path) == elf
        assert list(KernelModules(tmp_path).in_load_order(["module"])) == ["module"]
        path.unlink()
