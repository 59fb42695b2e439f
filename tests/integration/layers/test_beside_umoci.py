"""The same image, unpacked by umoci and by firkin."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from firkin.vminitd.layers.applier import apply_layer

from .archives import picture


def umoci(*arguments: str) -> None:
    subprocess.run(["umoci", *arguments], check=True, capture_output=True)


def changed_rootfs(image: Path, bundle: Path) -> None:
    """Three layers of everything, made by umoci from what changes between them."""
    umoci("unpack", "--image", f"{image}:tag", str(bundle))
    rootfs = bundle / "rootfs"
    (rootfs / "usr" / "bin").mkdir(parents=True)
    (rootfs / "bin").symlink_to("usr/bin")
    (rootfs / "usr" / "bin" / "tool").write_bytes(os.urandom(300_000))
    os.chown(rootfs / "usr" / "bin" / "tool", 12, 34)
    os.chmod(rootfs / "usr" / "bin" / "tool", 0o4755)
    os.link(rootfs / "usr" / "bin" / "tool", rootfs / "usr" / "bin" / "same")
    (rootfs / "etc" / "old").mkdir(parents=True)
    for name in ("a", "b", "c"):
        (rootfs / "etc" / "old" / name).write_text(name)
    os.mkfifo(rootfs / "etc" / "pipe")
    os.mknod(rootfs / "null", 0o20666, os.makedev(1, 3))
    os.setxattr(rootfs / "etc" / "old" / "a", "user.note", b"kept")
    os.chmod(rootfs / "etc", 0o2775)
    (rootfs / "\u00fcml\u00e4ut with space").write_text("")
    umoci("repack", "--refresh-bundle", "--image", f"{image}:tag", str(bundle))
    (rootfs / "etc" / "old" / "a").unlink()
    (rootfs / "etc" / "old" / "b").write_text("changed")
    (rootfs / "etc" / "pipe").unlink()
    (rootfs / "etc" / "pipe").mkdir()
    (rootfs / "etc" / "pipe" / "inside").write_text("a directory now")
    umoci("repack", "--refresh-bundle", "--image", f"{image}:tag", str(bundle))
    subprocess.run(["rm", "-r", str(rootfs / "etc" / "old")], check=True)
    (rootfs / "etc" / "old").symlink_to("/usr/bin")
    os.link(rootfs / "null", rootfs / "etc" / "null")
    (rootfs / "usr" / "bin" / "same").unlink()
    umoci("repack", "--image", f"{image}:tag", str(bundle))


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "image"
    umoci("init", "--layout", str(path))
    umoci("new", "--image", f"{path}:tag")
    changed_rootfs(path, tmp_path / "made")
    return path


def blob(image: Path, digest: str) -> Path:
    return image / "blobs" / digest.replace(":", "/")


def test_the_trees_are_the_same(image: Path, tmp_path: Path) -> None:
    umoci("unpack", "--image", f"{image}:tag", str(tmp_path / "theirs"))
    ours = tmp_path / "ours"
    ours.mkdir()
    index = json.loads((image / "index.json").read_text())
    manifest = json.loads(blob(image, index["manifests"][0]["digest"]).read_text())
    config = json.loads(blob(image, manifest["config"]["digest"]).read_text())
    assert len(manifest["layers"]) == 3
    for descriptor, diff_id in zip(manifest["layers"], config["rootfs"]["diff_ids"], strict=True):
        with open(blob(image, descriptor["digest"]), "rb") as stream:
            apply_layer(
                str(ours),
                stream,
                layer_name=descriptor["digest"],
                media_type=descriptor["mediaType"],
                digest=descriptor["digest"],
                diff_id=diff_id,
            )
    theirs = picture(tmp_path / "theirs" / "rootfs")
    seen = picture(ours)
    assert sorted(seen) == sorted(theirs)
    assert {path: each for path, each in seen.items() if each != theirs[path]} == {}
