"""Archives for the kernel's first root."""

from __future__ import annotations

import subprocess
from pathlib import Path

from firkin.adapters.guest_image_host.cpio import cpio_archive
from firkin.adapters.guest_image_host.tree import GuestFile, GuestTree


def _tree() -> GuestTree:
    tree = GuestTree()
    tree.add("bin/odd", GuestFile(content=b"12345", is_executable=True))
    tree.add("/bin/link", GuestFile(link="odd"))
    tree.add("empty", GuestFile(content=b""))
    return tree


def test_bsdtar_unpacks_what_went_in(tmp_path: Path) -> None:
    subprocess.run(["bsdtar", "-xpf", "-", "-C", str(tmp_path)], input=cpio_archive(_tree()), check=True)
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == [
        "bin",
        "bin/link",
        "bin/odd",
        "empty",
    ]
    assert (tmp_path / "bin/link").readlink() == Path("odd")
    assert (tmp_path / "bin/odd").read_bytes() == b"12345"
    assert (tmp_path / "bin/odd").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "empty").stat().st_mode & 0o777 == 0o644


def test_the_same_tree_makes_the_same_bytes() -> None:
    assert cpio_archive(_tree()) == cpio_archive(_tree())
    assert len(cpio_archive(_tree())) % 4 == 0
