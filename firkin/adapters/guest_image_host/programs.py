"""Programs that the agent runs, and every shared library that anything in the image loads."""

from __future__ import annotations

import shutil
from pathlib import Path

from .shared_libraries import shared_libraries
from .tools import tool_path
from .tree import GuestFile, GuestTree

_RUN_BY_THE_AGENT = (
    ("crun", "crun", "running containers"),
    ("mke2fs", "e2fsprogs", "limiting the size of volumes"),
)
# Taken along where the host has it: what needs it says so when it is not there.
_OPTIONAL = ("catatonit",)
_DIRECTORIES = ("dev", "proc", "sys", "run", "tmp", "root", "mnt", "var", "newroot")
# One place each for what is looked up by name: no search path has to be walked, and `env` finds everything.
PROGRAMS = "usr/bin"


def add_programs(tree: GuestTree, search_path: str) -> None:
    """Put the programs and the skeleton of a root filesystem into the image.

    Raises:
        MissingTool: the host lacks one of them.
    """
    for directory in _DIRECTORIES:
        tree.add(directory, GuestFile())
    tree.add("etc/passwd", GuestFile(content=b"root:x:0:0:root:/root:/bin/sh\n"))
    tree.add("etc/group", GuestFile(content=b"root:x:0:\n"))
    for name, package, purpose in _RUN_BY_THE_AGENT:
        source = Path(tool_path(name, package, purpose, search_path))
        tree.add(f"{PROGRAMS}/{name}", GuestFile(source=source, is_executable=True))
    for name in _OPTIONAL:
        # Also where it would be, for the image is another one once it is installed.
        tree.looked_at.add(Path("/", PROGRAMS, name))
        found = shutil.which(name, path=search_path)
        if found is not None:
            tree.add(f"{PROGRAMS}/{name}", GuestFile(source=Path(found), is_executable=True))


def add_shared_libraries(tree: GuestTree, search_path: str) -> None:
    """Put what everything in the image loads at the paths where the loader looked on the host."""
    binaries = [file.source for _, file in tree if file.source is not None and not file.is_bytecode]
    libraries = sorted(shared_libraries(binaries, search_path))
    for library in libraries:
        tree.add(str(library), GuestFile(source=library, is_executable=True))
    # The loader of the guest has no cache that tells of further directories: so everything can be found where libc is.
    always_searched = next((library.parent for library in libraries if library.name.startswith("libc.so")), None)
    for library in libraries:
        name = f"{always_searched}/{library.name}"
        if always_searched is not None and name not in tree:
            tree.add(name, GuestFile(link=str(library)))
