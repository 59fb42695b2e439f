"""Modules as bytecode that an interpreter loads without looking for a source (PEP 552)."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from .tools import run_tool

# Run by an interpreter that has done nothing else: which strings others hold decides what marshal writes, and an
# image shall be the same whoever builds it. Without docstrings and assertions there is less to read and to keep in
# memory. The pyc is hash-based and not checked against a source (PEP 552): its eight bytes of hash are of no use.
_SCRIPT = """
import importlib.util, json, marshal, sys
with open(sys.argv[1]) as file:
    modules = json.load(file)
for target, source, name in modules:
    with open(source, "rb") as file:
        text = file.read()
    code = compile(text, name, "exec", dont_inherit=True, optimize=2)
    with open(target, "wb") as file:
        file.write(importlib.util.MAGIC_NUMBER + bytes([1]) + bytes(11) + marshal.dumps(code))
"""


def write_bytecode(root: Path, modules: Mapping[str, Path], search_path: str) -> None:
    """Compile each module to its path below `root`; its directory exists.

    Raises:
        GuestImageFailed: one of them is no Python of this version.
    """
    listing = root.with_name(f"{root.name}-modules.json")
    jobs = [[str(root / path), str(source), f"/{path.removesuffix('c')}"] for path, source in sorted(modules.items())]
    listing.write_text(json.dumps(jobs), "utf-8")
    run_tool([sys.executable, "-I", "-S", "-c", _SCRIPT, str(listing)], search_path)
    listing.unlink()
