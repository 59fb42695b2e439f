"""What real tools write: CPython's test file, Debian's packages, GNU tar, bsdtar, umoci, skopeo and buildah."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from firkin.domain.errors import LayerRefused
from firkin.vminitd.layers.applier import apply_layer
from tests.images.archives import cpython_test_archive, package_archives

from .archives import Trickle, sha256
from .golden.applying import PACKS
from .golden.blocks import END
from .golden.trees import ANY_TIME, Tree, d, device, differences, f, link, made, pipe, read_tree, tree

NOT_FOR_LAYERS = {
    "gnu/regtype-gnu-uid": "uid or gid is not possible",
    "misc/regtype-suntar": "type 'X'",
}
"""Entries of CPython's test file that no layer may have: a user id that means none, and a header of Solaris."""


@pytest.fixture
def rootfs(tmp_path: Path) -> Path:
    (tmp_path / "rootfs").mkdir(mode=0o755)
    return tmp_path / "rootfs"


def run(*command: str | Path) -> None:
    """Run a program; a failure shows what it said."""
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"


def applied(rootfs: Path, tar: bytes, media_type: str = "application/vnd.oci.image.layer.v1.tar") -> Tree:
    """The tree of a layer."""
    blob = PACKS[media_type](tar)
    stream = Trickle(blob, 65_521)
    apply_layer(
        str(rootfs), stream, layer_name="layer", media_type=media_type, digest=sha256(blob), diff_id=sha256(tar)
    )
    return read_tree(rootfs)


def members(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Each entry of an archive with all its headers and data, by name."""
    raw = archive.read_bytes()
    with tarfile.open(archive, encoding="iso8859-1") as reader:
        found = reader.getmembers()
        # After the last entry's data, of which there is none in this file.
        ends = [*(member.offset for member in found[1:]), found[-1].offset_data]
    for member, end in zip(found, ends, strict=True):
        yield member.name, raw[member.offset : end]


def read_by_python(archive: Path) -> Tree:
    """The tree that an archive makes, as the standard library reads it."""
    nodes = {}
    same: dict[str, str] = {}
    with tarfile.open(archive, encoding="utf-8", errors="surrogateescape") as reader:
        for member in reader:
            name = os.path.normpath(member.name)
            owner = (member.uid, member.gid)
            mode = member.mode & 0o7777
            if member.islnk():
                same[name] = os.path.normpath(member.linkname)
            elif member.isdir():
                nodes[name] = d(mode, owner, member.mtime)
            elif member.issym():
                nodes[name] = link(member.linkname, owner, member.mtime)
            elif member.isfifo():
                nodes[name] = pipe(mode, owner, member.mtime)
            elif member.isdev():
                kind = "character" if member.ischr() else "block"
                nodes[name] = device(kind, member.devmajor, member.devminor, mode, owner, member.mtime)
            else:
                content = reader.extractfile(member)
                assert content is not None
                nodes[name] = f(content.read(), mode, owner, member.mtime)
    for name in [*nodes, *same]:
        for parent in list(Path(name).parents)[:-1]:
            nodes.setdefault(str(parent), made())
    whole = tree({os.fsencode(name): node for name, node in nodes.items()})
    for name, target in same.items():
        names = whole[os.fsencode(target)].names | {os.fsencode(name)}
        node = dataclasses.replace(whole[os.fsencode(target)], names=names)
        whole |= dict.fromkeys(names, node)
    return whole


def below(found: Tree, *, holes: bool = True) -> Tree:
    """The tree without the rootfs's own entry, which archives need not have; and without telling holes, if so asked."""
    told = found if holes else {path: dataclasses.replace(node, is_sparse=False) for path, node in found.items()}
    return {path: node for path, node in told.items() if path != b"."}


def test_the_test_file_of_cpython(rootfs: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept.tar"
    kept.write_bytes(b"".join(raw for name, raw in members(cpython_test_archive()) if name not in NOT_FOR_LAYERS) + END)
    found = applied(rootfs, kept.read_bytes())
    assert sum(node.is_sparse for node in found.values()) == 4
    expected = read_by_python(kept)
    assert len(expected) > 60
    assert differences(below(expected), below(found, holes=False)) == {}


@pytest.mark.parametrize("name", NOT_FOR_LAYERS)
def test_what_no_layer_may_have_of_it(rootfs: Path, name: str) -> None:
    raw = dict(members(cpython_test_archive()))[name]
    with pytest.raises(LayerRefused, match=NOT_FOR_LAYERS[name]):
        applied(rootfs, raw + END)


def unpacked_by_umoci(tars: Sequence[Path], place: Path) -> Tree:
    """The tree that umoci makes of these layers."""
    image = f"{place / 'image'}:latest"
    run("umoci", "init", "--layout", place / "image")
    run("umoci", "new", "--image", image)
    for tar in tars:
        run("umoci", "raw", "add-layer", "--image", image, tar)
    run("umoci", "raw", "unpack", "--image", image, place / "theirs")
    return read_tree(place / "theirs")


@pytest.mark.parametrize("media_type", PACKS)
def test_packages_of_debian(rootfs: Path, tmp_path: Path, media_type: str) -> None:
    for archive in package_archives():
        found = applied(rootfs, archive.read_bytes(), media_type)
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    for archive in package_archives():
        run("tar", "-xf", archive, "-C", theirs, "--numeric-owner", "--delay-directory-restore")
    assert len(found) > 400
    assert differences(below(read_tree(theirs)), below(found)) == {}
    assert differences(below(unpacked_by_umoci(package_archives(), tmp_path)), below(found)) == {}


def layers_of(layout: Path) -> list[tuple[Path, str, str, str]]:
    """Path, digest, media type and diff id of an image's layers."""

    def blob(digest: str) -> Path:
        return layout / "blobs" / digest.replace(":", "/")

    index = json.loads((layout / "index.json").read_text())
    manifest = json.loads(blob(index["manifests"][0]["digest"]).read_text())
    diff_ids = json.loads(blob(manifest["config"]["digest"]).read_text())["rootfs"]["diff_ids"]
    return [
        (blob(each["digest"]), each["digest"], each["mediaType"], diff_id)
        for each, diff_id in zip(manifest["layers"], diff_ids, strict=True)
    ]


def applied_image(rootfs: Path, layout: Path) -> Tree:
    """The tree of an image."""
    for path, digest, media_type, diff_id in layers_of(layout):
        with path.open("rb", buffering=0) as stream:
            apply_layer(str(rootfs), stream, layer_name=digest, media_type=media_type, digest=digest, diff_id=diff_id)
    return read_tree(rootfs)


@pytest.fixture(scope="module")
def debian_tree(debian_rootfs: Path) -> Tree:
    return read_tree(debian_rootfs)


def test_a_debian_system_is_what_umoci_unpacks(
    rootfs: Path, debian_image_of_each_compression: str, debian_tree: Tree
) -> None:
    layout = Path(debian_image_of_each_compression.removeprefix("oci:").rpartition(":")[0])
    found = applied_image(rootfs, layout)
    assert len(found) > 5000
    assert {node.kind for node in found.values()} >= {"file", "directory", "symlink", "fifo"}
    assert differences(below(debian_tree), below(found)) == {}


def grown(source: Path, step: int) -> None:
    """One step of a build: each leaves another tree to be packed."""
    if step == 0:
        (source / "etc" / "conf.d").mkdir(parents=True)
        (source / "bin").mkdir()
        (source / "bin" / "tool").write_bytes(os.urandom(200_000))
        (source / "bin" / "tool").chmod(0o4755)
        os.link(source / "bin" / "tool", source / "bin" / "same")
        (source / "etc" / "conf.d" / "one").write_text("1")
        (source / "etc" / ("n" * 180)).write_text("long")
        (source / "link").symlink_to("etc/conf.d")
        (source / "pipe").mkdir()
    else:
        (source / "etc" / "conf.d" / "two").write_text("2")
        (source / "etc" / "conf.d" / "one").write_text("changed")
        os.setxattr(source / "etc" / "conf.d" / "two", "user.note", b"kept")
        os.chown(source / "etc" / "conf.d", 12, 34)
        (source / "pipe").rmdir()
        os.mkfifo(source / "pipe")


def test_an_image_of_buildah_is_what_umoci_unpacks(rootfs: Path, tmp_path: Path) -> None:
    storage = ["--root", f"{tmp_path}/storage", "--runroot", f"{tmp_path}/run", "--storage-driver", "vfs"]
    parent = "scratch"
    for step in range(2):
        container = f"step-{step}"
        layout = tmp_path / f"image-{step}"
        run("buildah", *storage, "from", "--name", container, parent)
        mounted = subprocess.run(
            ["buildah", *storage, "mount", container], check=True, capture_output=True, text=True
        ).stdout.strip()
        grown(Path(mounted), step)
        if step:
            (Path(mounted) / "bin" / "same").unlink()
        run("buildah", *storage, "umount", container)
        run("buildah", *storage, "commit", "--disable-compression=false", container, f"oci:{layout}:latest")
        parent = f"oci:{layout}:latest"
    assert len(layers_of(layout)) == 2
    found = applied_image(rootfs, layout)
    assert found[b"pipe"].kind == "fifo"
    assert b"bin/same" not in found
    run("umoci", "raw", "unpack", "--image", f"{layout}:latest", tmp_path / "theirs")
    assert differences(below(read_tree(tmp_path / "theirs")), below(found)) == {}


WRITERS = {
    **{f"GNU tar, {form}": ["tar", f"--format={form}"] for form in ("v7", "oldgnu", "gnu", "ustar")},
    "GNU tar, pax": ["tar", "--format=pax", "--xattrs", "--sparse"],
    "GNU tar, gnu and sparse": ["tar", "--format=gnu", "--sparse"],
    **{f"bsdtar, {form}": ["bsdtar", f"--format={form}"] for form in ("ustar", "gnutar", "pax")},
    "busybox": ["busybox", "tar"],
}


@pytest.mark.parametrize("writer", WRITERS)
def test_what_every_writer_packs_is_what_it_read(rootfs: Path, tmp_path: Path, writer: str) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "dir").mkdir()
    (source / "dir" / "file").write_bytes(b"x" * 100_000)
    (source / "dir" / "file").chmod(0o6755)
    os.chown(source / "dir", 100, 200)
    os.link(source / "dir" / "file", source / "same")
    (source / "symlink").symlink_to("/etc/passwd")
    (source / "empty").write_bytes(b"")
    if "v7" not in writer:
        os.mkfifo(source / "fifo")
        os.mknod(source / "null", 0o20666, os.makedev(1, 3))
    with (source / "sparse").open("wb") as file:
        for offset in range(0, 3_000_000, 500_000):
            file.seek(offset)
            file.write(b"data")
    if "v7" not in writer and "ustar" not in writer:
        (source / ("d" * 200)).mkdir()
        (source / ("d" * 200) / ("f" * 200)).write_text("long")
        (source / "long-link").symlink_to("t" * 300)
    for path in [*source.rglob("*"), source]:
        os.utime(path, (1, 1_234_567_890), follow_symlinks=False)
    if writer == "GNU tar, pax":
        os.setxattr(source / "dir", "user.note", b"\x00\xff\n")
    tar = tmp_path / "written.tar"
    run(*WRITERS[writer], "-C", source, "-cf", tar, ".")
    found = applied(rootfs, tar.read_bytes())
    holes = "sparse" in writer or "pax" in writer
    assert differences(below(read_tree(source), holes=holes), below(found, holes=holes)) == {}
    assert found[b"."].mtime_ns not in (0, ANY_TIME)
