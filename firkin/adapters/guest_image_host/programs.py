"""Programs that the agent runs, and every shared library that anything in the image loads."""

from __future__ import annotations

from pathlib import Path

from .shared_libraries import shared_libraries
from .tools import run_tool, tool_path
from .tree import GuestFile, GuestTree

_RUN_BY_THE_AGENT = (
    ("crun", "crun", "running containers"),
    ("mke2fs", "e2fsprogs", "limiting the size of volumes"),
)
_DIRECTORIES = ("dev", "proc", "sys", "run", "tmp", "root", "mnt", "var", "newroot")
# One place each for what is looked up by name: no search path has to be walked, and `env` finds everything.
PROGRAMS = "usr/bin"
LOADER_CACHE = "etc/ld.so.cache"


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


def add_shared_libraries(tree: GuestTree, search_path: str) -> None:
    """Put what everything in the image loads at the paths where the loader looked on the host."""
    binaries = [file.source for _, file in tree if file.source is not None and not file.is_bytecode]
    libraries = sorted(shared_libraries(binaries, search_path))
    for library in libraries:
        tree.add(str(library), GuestFile(source=library, is_executable=True))
    directories = sorted({str(library.parent) for library in libraries})
    tree.add("etc/ld.so.conf", GuestFile(content="".join(f"{path}\n" for path in directories).encode()))


def write_loader_cache(root: Path, search_path: str) -> None:
    """Let the loader find libraries without searching (ldconfig(8))."""
    ldconfig = tool_path("ldconfig", "libc-bin", "making a guest image", search_path)
    run_tool([ldconfig, "-X", "-r", str(root)], search_path)
    (root / "var/cache/ldconfig/aux-cache").unlink(missing_ok=True)
