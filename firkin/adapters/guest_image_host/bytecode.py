"""Modules as bytecode that an interpreter loads without looking for a source (PEP 552)."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from firkin.vminitd.module_archive import BYTECODE, INDEX

from .tools import run_tool

# Run by an interpreter that has done nothing else: which strings others hold decides what marshal writes, and an
# image shall be the same whoever builds it. Without docstrings and assertions there is less to read and to keep in
# memory. The pyc is hash-based and not checked against a source (PEP 552): its eight bytes of hash are of no use.
_SCRIPT = """
import importlib.util, json, marshal, sys
listing, archive_path, index_path = sys.argv[1:]
with open(listing) as file:
    modules = json.load(file)
index = {}
with open(archive_path, "wb") as archive:
    for target, source, path, name, is_package in modules:
        with open(source, "rb") as file:
            text = file.read()
        code = marshal.dumps(compile(text, path, "exec", dont_inherit=True, optimize=2))
        with open(target, "wb") as file:
            file.write(importlib.util.MAGIC_NUMBER + bytes([1]) + bytes(11) + code)
        index[name] = (is_package, archive.tell(), len(code))
        archive.write(code)
with open(index_path, "wb") as file:
    marshal.dump(index, file)
"""
_PACKAGE = "/__init__"


def write_bytecode(root: Path, modules: Mapping[str, Path], library: str, archive: str, search_path: str) -> None:
    """Compile each module to its path below `root`, and all of them into an archive; the directories exist.

    Args:
        root: directory of the guest's root filesystem.
        modules: their sources by paths in the guest.
        library: directory in the guest, below which modules lie by their names.
        archive: directory in the guest that gets the archive (see `firkin.vminitd.module_archive`).
        search_path: PATH.

    Raises:
        GuestImageFailed: one of them is no Python of this version.
    """
    listing = root.with_name(f"{root.name}-modules.json")
    jobs = [
        [str(root / path), str(source), f"/{path.removesuffix('c')}", *_name(path, library)]
        for path, source in sorted(modules.items())
    ]
    listing.write_text(json.dumps(jobs), "utf-8")
    places = (str(root / archive / BYTECODE), str(root / archive / INDEX))
    run_tool([sys.executable, "-I", "-S", "-c", _SCRIPT, str(listing), *places], search_path)
    listing.unlink()


def _name(path: str, library: str) -> tuple[str, bool]:
    """By which a module is imported, and whether it is a package."""
    below = path.removeprefix(f"{library}/").removesuffix(".pyc")
    return below.removesuffix(_PACKAGE).replace("/", "."), below.endswith(_PACKAGE)
