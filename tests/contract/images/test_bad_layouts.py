"""Layouts that are broken or hostile: each is refused by the error that says so."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from firkin.adapters.images_oci_layout import OciLayoutImageSource
from firkin.domain.digest import Digest
from firkin.domain.image import ImageBundle, Platform
from firkin.errors import BlobCorrupt, BlobMissing, ImageInvalid, ImageNotFound, MediaTypeUnsupported, PermissionMissing

from .layouts import INDEX, MANIFEST, Json, LayoutWriter, described

pytestmark = pytest.mark.real_time

HERE = Platform.current()


@pytest.fixture
def writer(tmp_path: Path) -> LayoutWriter:
    return LayoutWriter(tmp_path / "image")


async def resolved(writer: LayoutWriter) -> ImageBundle:
    return await OciLayoutImageSource().resolve(writer.reference(), HERE)


def blob_path(writer: LayoutWriter, descriptor: object) -> Path:
    assert isinstance(descriptor, dict)
    return writer.blobs / str(descriptor["digest"]).removeprefix("sha256:")


def first_layer(manifest: Json) -> Json:
    layers = manifest["layers"]
    assert isinstance(layers, list)
    layer = layers[0]
    assert isinstance(layer, dict)
    return layer


@pytest.mark.parametrize(
    "marker", ["", "{}", "[]", '{"imageLayoutVersion": "2.0.0"}', '{"imageLayoutVersion": 1}', "\0", '"' + "a" * 9]
)
async def test_a_broken_marker_is_invalid(writer: LayoutWriter, marker: str) -> None:
    (writer.directory / "oci-layout").write_text(marker)

    with pytest.raises(ImageInvalid):
        await resolved(writer)


async def test_a_missing_marker_or_index_is_no_layout(writer: LayoutWriter) -> None:
    (writer.directory / "index.json").unlink()
    with pytest.raises(ImageNotFound, match=r"index\.json"):
        await resolved(writer)

    (writer.directory / "oci-layout").unlink()
    with pytest.raises(ImageNotFound, match="oci-layout"):
        await resolved(writer)


@pytest.mark.parametrize(
    "index",
    [
        "",
        "null",
        "[]",
        "{",
        "{}",
        '{"schemaVersion": 1, "manifests": []}',
        '{"schemaVersion": 2}',
        '{"schemaVersion": 2, "manifests": {}}',
        '{"schemaVersion": 2, "manifests": [null]}',
        '{"schemaVersion": 2, "manifests": [], "layers": []}',
        '{"schemaVersion": 2, "manifests": [], "config": null}',
        '{"schemaVersion": 2, "manifests": [], "x": ' + "[" * 200_000,
    ],
)
async def test_a_broken_index_is_invalid(writer: LayoutWriter, index: str) -> None:
    (writer.directory / "index.json").write_text(index)

    with pytest.raises(ImageInvalid):
        await resolved(writer)


async def test_an_index_of_more_than_four_mebibytes_is_invalid(writer: LayoutWriter) -> None:
    (writer.directory / "index.json").write_bytes(b" " * (4 * 2**20) + b"{}")

    with pytest.raises(ImageInvalid, match="longer than"):
        await resolved(writer)


@pytest.mark.parametrize(
    "change",
    [
        {"digest": "sha256:../../../../etc/passwd"},
        {"digest": "sha256:" + "A" * 64},
        {"digest": "sha512:" + "0" * 128},
        {"digest": "../../index.json"},
        {"digest": None},
        {"size": -1},
        {"size": "12"},
        {"size": 2**63},
        {"size": 5 * 2**20},
        {"mediaType": None},
        {"annotations": []},
        {"platform": "linux"},
    ],
    ids=str,
)
async def test_a_broken_descriptor_is_invalid(writer: LayoutWriter, change: Json) -> None:
    writer.index({**writer.image(), **change})

    with pytest.raises(ImageInvalid):
        await resolved(writer)


async def test_an_unknown_kind_of_manifest_is_unsupported(writer: LayoutWriter) -> None:
    writer.index({**writer.image(), "mediaType": "application/vnd.docker.distribution.manifest.v1+json"})

    with pytest.raises(MediaTypeUnsupported):
        await resolved(writer)


async def test_a_missing_manifest_config_or_layer_is_named(writer: LayoutWriter) -> None:
    manifest = writer.manifest()
    image = writer.image(None, manifest)
    writer.index(image)
    for descriptor in (first_layer(manifest), manifest["config"], image):
        blob_path(writer, descriptor).unlink()

        with pytest.raises(BlobMissing) as caught:
            await resolved(writer)

        assert isinstance(descriptor, dict)
        assert caught.value.digest == descriptor["digest"]


async def test_missing_blob_directories_are_missing_blobs(writer: LayoutWriter) -> None:
    image = writer.image()
    writer.index(image)
    writer.blobs.rename(writer.blobs.with_name("elsewhere"))

    with pytest.raises(BlobMissing):
        await resolved(writer)


@pytest.mark.parametrize("which", ["manifest", "config"])
async def test_a_changed_document_is_corrupt(writer: LayoutWriter, which: str) -> None:
    manifest = writer.manifest()
    image = writer.image(None, manifest)
    writer.index(image)
    path = blob_path(writer, image if which == "manifest" else manifest["config"])
    data = path.read_bytes()
    path.write_bytes(data[:-1] + b" ")

    with pytest.raises(BlobCorrupt) as caught:
        await resolved(writer)

    assert caught.value.expected == f"sha256:{path.name}"
    assert caught.value.actual == Digest.of(data[:-1] + b" ")


@pytest.mark.parametrize("change", [b"", b"more"])
async def test_a_layer_of_another_size_is_corrupt(writer: LayoutWriter, change: bytes) -> None:
    manifest = writer.manifest()
    writer.index(writer.image(None, manifest))
    path = blob_path(writer, first_layer(manifest))
    path.write_bytes(path.read_bytes() + change if change else b"")

    with pytest.raises(BlobCorrupt, match="bytes, not 4"):
        await resolved(writer)


@pytest.mark.parametrize("kind", ["symlink", "directory", "fifo", "socket"])
async def test_a_blob_must_be_a_regular_file(writer: LayoutWriter, kind: str, tmp_path: Path) -> None:
    manifest = writer.manifest()
    writer.index(writer.image(None, manifest))
    path = blob_path(writer, first_layer(manifest))
    outside = path.rename(tmp_path / "outside")
    if kind == "symlink":
        path.symlink_to(outside)
    elif kind == "directory":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        os.mknod(path, 0o140644)

    with pytest.raises(ImageInvalid):
        await resolved(writer)


@pytest.mark.parametrize("name", ["blobs", "blobs/sha256", "index.json", "oci-layout"])
async def test_no_part_of_a_layout_may_be_a_symlink(writer: LayoutWriter, name: str, tmp_path: Path) -> None:
    writer.index(writer.image())
    path = writer.directory / name
    path.symlink_to(path.rename(tmp_path / "outside"))

    with pytest.raises(ImageInvalid, match="symbolic link"):
        await resolved(writer)


@pytest.mark.parametrize("name", ["..", ".", "index.json", "blobs"])
async def test_what_may_not_be_read_is_told_as_a_permission(writer: LayoutWriter, name: str) -> None:
    writer.index(writer.image())
    place = (writer.directory / name).resolve()
    mode = place.stat().st_mode
    place.chmod(0)
    try:
        with _as_an_ordinary_user(writer.directory), pytest.raises(PermissionMissing):
            await resolved(writer)
    finally:
        place.chmod(mode)


@contextlib.contextmanager
def _as_an_ordinary_user(directory: Path) -> Iterator[None]:
    """Root may read everything, so tests that run as root become somebody else, who owns nothing."""
    if os.geteuid() != 0:
        yield
        return
    opened = [(path, path.stat().st_mode) for path in directory.parents[1:] if path.stat().st_mode & 0o005 == 0]
    for path, mode in opened:
        path.chmod(mode | 0o005)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
        for path, mode in opened:
            path.chmod(mode)


async def test_the_layout_itself_may_be_reached_by_a_symlink(writer: LayoutWriter, tmp_path: Path) -> None:
    writer.index(writer.image())
    (tmp_path / "link").symlink_to(writer.directory)

    assert await OciLayoutImageSource().resolve(f"oci:{tmp_path}/link", HERE)


@pytest.mark.parametrize(
    "change",
    [
        {"schemaVersion": 1},
        {"layers": "none"},
        {"config": None},
        {"manifests": []},
        {"mediaType": INDEX},
        {"layers": []},
    ],
    ids=str,
)
async def test_a_broken_manifest_is_invalid(writer: LayoutWriter, change: Json) -> None:
    writer.index(writer.image(None, {**writer.manifest(), **change}))

    with pytest.raises(ImageInvalid):
        await resolved(writer)


@pytest.mark.parametrize(
    "change",
    [
        {"architecture": None},
        {"os": ""},
        {"rootfs": None},
        {"rootfs": {"type": "disk", "diff_ids": []}},
        {"rootfs": {"type": "layers", "diff_ids": []}},
        {"rootfs": {"type": "layers", "diff_ids": ["sha256:0"]}},
        {"config": {"Env": "A=1"}},
        {"config": {"Env": ["A=\0"]}},
        {"config": {"User": "a\0b"}},
        {"config": []},
    ],
    ids=str,
)
async def test_a_broken_config_is_invalid(writer: LayoutWriter, change: Json) -> None:
    writer.index(writer.image(None, writer.manifest({**writer.config(), **change})))

    with pytest.raises(ImageInvalid):
        await resolved(writer)


async def test_an_index_that_contradicts_the_config_is_invalid(writer: LayoutWriter) -> None:
    other = Platform("s390x")
    writer.index(described(writer.image(), "latest", other))

    with pytest.raises(ImageInvalid, match="its index says linux/s390x"):
        await OciLayoutImageSource().resolve(writer.reference(), other)


async def test_an_unknown_kind_of_layer_is_unsupported(writer: LayoutWriter) -> None:
    writer.index(writer.image(None, writer.manifest(layer_type="application/vnd.oci.image.layer.v1.squashfs")))

    with pytest.raises(MediaTypeUnsupported, match="squashfs"):
        await resolved(writer)


async def test_indexes_nested_too_deeply_are_invalid(writer: LayoutWriter) -> None:
    inner = writer.image()
    for _ in range(20):
        inner = writer.nested(inner)
    writer.index(inner)

    with pytest.raises(ImageInvalid, match="nested"):
        await resolved(writer)


async def test_a_blob_that_is_a_manifest_and_an_index_is_invalid(writer: LayoutWriter) -> None:
    both = {**writer.manifest(), "manifests": []}
    for media_type in (MANIFEST, INDEX):
        writer.index(writer.blob(json.dumps(both).encode(), media_type))

        with pytest.raises(ImageInvalid):
            await resolved(writer)
