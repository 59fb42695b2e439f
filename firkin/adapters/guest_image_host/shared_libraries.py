"""The shared libraries that programs and extension modules load."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from .tools import run_tool, tool_path

# ldd(1): "libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x...)", or the loader: "/lib64/ld-linux-x86-64.so.2 (0x...)"
_RESOLVED = re.compile(r"^\s(?:\S+ => )?(/\S+) \(0x[0-9a-f]+\)$", re.MULTILINE)
_ELF = b"\x7fELF"


def shared_libraries(files: Iterable[Path], search_path: str) -> set[Path]:
    """What the dynamic loader would load for `files`, by the paths at which it looks."""
    ldd = tool_path("ldd", "libc-bin", "finding shared libraries", search_path)
    programs = [str(path) for path in files if _is_elf(path)]
    # It fails when one of the files is statically linked, and answers for the others all the same.
    answer = run_tool([ldd, *programs], search_path, check=False)
    return {Path(found) for found in _RESOLVED.findall(answer)}


def _is_elf(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_ELF)) == _ELF
