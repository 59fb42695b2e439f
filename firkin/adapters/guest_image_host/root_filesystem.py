"""The read-only root filesystem, as an erofs image."""

from __future__ import annotations

import shutil
from pathlib import Path

from .bytecode import write_bytecode
from .interpreter import HOME, LIBRARY
from .tools import run_tool, tool_path
from .tree import GuestTree

# Given, so that the same files make the same image.
_UUID = "6f1c0c5e-9a52-4c6e-8d5b-6669726b696e"


def write_root_filesystem(tree: GuestTree, image: Path, search_path: str) -> None:
    """Make the image of a tree; everything in it belongs to root and has the time 0.

    Raises:
        MissingTool: mkfs.erofs is not installed.
        GuestImageFailed: it cannot be made.
    """
    mkfs = tool_path("mkfs.erofs", "erofs-utils", "making a guest image", search_path)
    staging = image.with_name(f"{image.name}-tree")
    _write_tree(tree, staging, search_path)
    # Not compressed: without KVM reading is cheaper than unpacking, and the file is sparse in what is never read.
    run_tool([mkfs, "-T0", "-x-1", "--all-root", f"-U{_UUID}", str(image), str(staging)], search_path)
    shutil.rmtree(staging)


def _write_tree(tree: GuestTree, staging: Path, search_path: str) -> None:
    modules: dict[str, Path] = {}
    staging.mkdir(mode=0o755)
    for path, file in tree:
        target = staging / path
        if file.is_bytecode and file.source is not None:
            modules[path] = file.source
        elif file.link is not None:
            target.symlink_to(file.link)
        elif file.source is not None:
            shutil.copyfile(file.source, target)
            target.chmod(file.mode & 0o777)
        elif file.content is not None:
            target.write_bytes(file.content)
            target.chmod(file.mode & 0o777)
        else:
            target.mkdir(mode=0o755)
    write_bytecode(staging, modules, LIBRARY, HOME, search_path)
