"""What goes into a guest image, and whether it is still the same."""

from __future__ import annotations

import os
from pathlib import Path

from firkin.adapters.guest_image_host.tree import GuestFile, GuestTree, fingerprint


def _digest(**changes: GuestFile) -> str:
    tree = GuestTree()
    for path, file in {"usr/a": GuestFile(content=b"1"), "usr/b": GuestFile(link="a"), **changes}.items():
        tree.add(path, file)
    return tree.digest()


def test_every_byte_mode_and_link_is_in_the_digest() -> None:
    same = _digest()
    assert _digest() == same
    changed = [
        {"usr/a": GuestFile(content=b"2")},
        {"usr/a": GuestFile(content=b"1", is_executable=True)},
        {"usr/b": GuestFile(link="usr/a")},
        {"usr/c": GuestFile()},
    ]
    digests = {_digest(**change) for change in changed}
    assert len(digests | {same}) == len(changed) + 1


def test_parents_come_before_what_is_in_them() -> None:
    tree = GuestTree()
    tree.add("/deep/down/file", GuestFile(content=b""))
    assert [path for path, _ in tree] == ["deep", "deep/down", "deep/down/file"]


def test_the_fingerprint_changes_with_a_file_a_new_entry_and_a_loss(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("1")
    looked_at = {file, tmp_path}
    seen = [fingerprint(looked_at)]
    assert fingerprint(looked_at) == seen[0]
    os.utime(file, ns=(1, 1))
    seen.append(fingerprint(looked_at))
    (tmp_path / "new").touch()
    os.utime(tmp_path, ns=(2, 2))
    seen.append(fingerprint(looked_at))
    file.unlink()
    seen.append(fingerprint(looked_at))
    assert len(set(seen)) == len(seen)
