"""Kernel modules, in the order in which they must be loaded."""

from __future__ import annotations

import gzip
import lzma
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import zstandard

from firkin.domain.layout import KERNEL_MODULES

from .tree import GuestFile, GuestTree

# What the agent loads when it is asked for: it costs no time at boot, and needs no other module.
_LOADED_LATER = ("binfmt_misc",)

# The .modinfo section of a module: NUL-terminated "key=value" (modinfo(8)).
_DEPENDS = re.compile(rb"\0depends=([^\0]*)\0")


def _unpacked_zstd(data: bytes) -> bytes:
    return zstandard.ZstdDecompressor().decompressobj().decompress(data)


_DECOMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    ".ko": bytes,
    ".gz": gzip.decompress,
    ".xz": lzma.decompress,
    ".zst": _unpacked_zstd,
}


class KernelModules:
    """The modules below a directory as `/lib/modules/VERSION`; what is built into the kernel is not among them."""

    def __init__(self, directory: Path | None) -> None:
        found = [] if directory is None else sorted(directory.rglob("*.ko*"))
        self._paths = {_name(path): path for path in found if path.suffix in _DECOMPRESSORS}

    def in_load_order(self, names: Iterable[str]) -> dict[str, Path]:
        """The named modules and those that they need, each behind what it needs; absent ones are left out."""
        ordered: dict[str, Path] = {}
        for name in names:
            self._append(name, ordered)
        return ordered

    def _append(self, name: str, ordered: dict[str, Path]) -> None:
        path = self._paths.get(name)
        if path is None or name in ordered:
            return
        found = _DEPENDS.search(module_bytes(path))
        for needed in found[1].decode().split(",") if found else ():
            self._append(needed.replace("-", "_"), ordered)
        ordered[name] = path


def add_modules(tree: GuestTree, modules: KernelModules) -> None:
    """Put the modules that the agent loads into the root filesystem; what the kernel does not have is left out."""
    for name, path in modules.in_load_order(_LOADED_LATER).items():
        tree.add(str(KERNEL_MODULES.below(f"{name}.ko")), GuestFile(content=module_bytes(path)))


def module_bytes(path: Path) -> bytes:
    """A module's ELF file, decompressed."""
    return _DECOMPRESSORS[path.suffix](path.read_bytes())


def _name(path: Path) -> str:
    return path.name.partition(".ko")[0].replace("-", "_")
