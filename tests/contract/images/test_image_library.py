"""What every image library promises, and what the one in an OCI layout does besides."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from firkin.adapters.image_library_oci import LibraryImageSource, OciImageLibrary
from firkin.adapters.images_oci_layout import OciLayoutImageSource
from firkin.adapters.memory import MemoryImageLibrary
from firkin.domain.digest import Digest
from firkin.domain.image import ImageBundle, ImageDocuments, Platform
from firkin.domain.reclaiming import ReclaimableKind
from firkin.errors import (
    BlobCorrupt,
    BlobMissing,
    ImageInvalid,
    ImageNotFound,
    InvalidReference,
    PermissionMissing,
    PlatformMissing,
)
from firkin.ports.image_library import ImageLibrary
from firkin.ports.reclaimable_space import ReclaimableSpace

from ...images.tools import run
from .layouts import LayoutWriter

pytestmark = pytest.mark.real_time

HERE = Platform.current()


@pytest.fixture(params=["memory", "oci"])
def firkin_image_library(request: pytest.FixtureRequest, tmp_path: Path) -> ImageLibrary:
    return MemoryImageLibrary() if request.param == "memory" else OciImageLibrary(tmp_path / "state")


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def library(state_dir: Path) -> OciImageLibrary:
    return OciImageLibrary(state_dir)


async def bundle_of(directory: Path, *layers: str, platform: Platform = HERE) -> ImageBundle:
    writer = LayoutWriter(directory)
    writer.index(writer.image("latest", writer.manifest(writer.config(layers, platform), layers), platform))
    return await OciLayoutImageSource().resolve(writer.reference("latest"), platform)


def blobs(state_dir: Path) -> set[str]:
    return {path.name for path in (state_dir / "images/blobs/sha256").iterdir()}


async def test_the_layout_is_read_by_skopeo_and_umoci(
    library: OciImageLibrary, state_dir: Path, busybox_image: str
) -> None:
    bundle = await OciLayoutImageSource().resolve(busybox_image, HERE)
    for name in ("busybox", "example.org/team/busybox:1.0-a"):
        await library.keep(bundle, name)
        inspected = json.loads(run("skopeo", "inspect", f"oci:{state_dir}/images:{name}"))
        assert inspected["Digest"] == bundle.digest
        assert inspected["Layers"] == [layer.digest for layer in bundle.layers]
    assert "busybox" in run("umoci", "list", "--layout", state_dir / "images")


async def test_images_that_skopeo_adds_are_kept_as_well(
    library: OciImageLibrary, state_dir: Path, busybox_image: str, tmp_path: Path
) -> None:
    await library.keep(await bundle_of(tmp_path / "image", "base"), "ours")
    run("skopeo", "copy", "-q", busybox_image, f"oci:{state_dir}/images:theirs")
    await library.keep(await bundle_of(tmp_path / "other", "other"), "other")

    assert [(image.name, image.problem) for image in await library.images()] == [
        ("other", ""), ("ours", ""), ("theirs", ""),
    ]  # fmt: skip
    assert await library.items() == ()


async def test_a_kept_image_is_the_image_it_was(library: OciImageLibrary, state_dir: Path, debian_image: str) -> None:
    layouts = OciLayoutImageSource()
    bundle = await layouts.resolve(debian_image, HERE)
    kept = await library.keep(bundle, "debian")

    found = await LibraryImageSource(state_dir, layouts).resolve(f"image:debian@{kept.digest}", HERE)

    assert (found.digest, found.config, found.diff_ids) == (bundle.digest, bundle.config, bundle.diff_ids)
    assert all(layer.path.is_relative_to(state_dir) for layer in found.layers)
    assert found.reference == f"image:debian@{kept.digest}"


async def test_a_name_that_moved_on_is_not_the_digest_any_more(
    library: OciImageLibrary, state_dir: Path, tmp_path: Path
) -> None:
    source = LibraryImageSource(state_dir, OciLayoutImageSource())
    first = await library.keep(await bundle_of(tmp_path / "one", "one"), "name")
    second = await library.keep(await bundle_of(tmp_path / "two", "two"), "name")

    with pytest.raises(ImageNotFound, match=f"name is {second.digest} now"):
        await source.resolve(f"image:name@{first.digest}", HERE)


@pytest.mark.parametrize(
    "reference", ["image:", "image", "oci:x", "image:@sha256:" + "0" * 64, "image:a@", "image:a@sha256:0", "image:../a"]
)
async def test_what_is_no_reference_is_refused(state_dir: Path, reference: str) -> None:
    with pytest.raises(InvalidReference):
        await LibraryImageSource(state_dir, OciLayoutImageSource()).resolve(reference, HERE)


async def test_errors_tell_the_reference_that_was_asked_for(
    library: OciImageLibrary, state_dir: Path, tmp_path: Path
) -> None:
    source = LibraryImageSource(state_dir, OciLayoutImageSource())
    elsewhere = Platform("s390x" if HERE.architecture != "s390x" else "amd64")
    await library.keep(await bundle_of(tmp_path / "foreign", "f", platform=elsewhere), "foreign")
    kept = await library.keep(await bundle_of(tmp_path / "broken", "base"), "broken")
    (state_dir / "images/blobs/sha256" / kept.digest.hex).unlink()

    with pytest.raises(PlatformMissing) as foreign:
        await source.resolve("image:foreign", HERE)
    with pytest.raises(BlobMissing) as broken:
        await source.resolve("image:broken", HERE)
    with pytest.raises(ImageNotFound, match="there are: broken, foreign") as absent:
        await source.resolve("image:absent", HERE)
    assert foreign.value.reference == "image:foreign"
    assert broken.value.reference == "image:broken"
    assert absent.value.reference == "image:absent"
    assert [(image.name, bool(image.problem)) for image in await library.images()] == [
        ("broken", True), ("foreign", False),
    ]  # fmt: skip


async def test_a_layer_that_changed_is_not_kept(library: OciImageLibrary, state_dir: Path, tmp_path: Path) -> None:
    bundle = await bundle_of(tmp_path / "image", "base")
    bundle.layers[0].path.write_bytes(b"evil")

    with pytest.raises(BlobCorrupt):
        await library.keep(bundle, "name")
    bundle.layers[0].path.unlink()
    with pytest.raises(BlobMissing):
        await library.keep(bundle, "name")

    assert await library.images() == ()
    assert blobs(state_dir) == set()
    assert await library.items() == ()


async def test_importing_again_mends_damaged_blobs(library: OciImageLibrary, state_dir: Path, tmp_path: Path) -> None:
    bundle = await bundle_of(tmp_path / "image", "base")
    await library.keep(bundle, "name")
    for name in blobs(state_dir):
        path = state_dir / "images/blobs/sha256" / name
        path.write_bytes(bytes(len(path.read_bytes())))
    assert (await library.images())[0].problem

    await library.keep(bundle, "name")

    for name in blobs(state_dir):
        assert Digest.of((state_dir / "images/blobs/sha256" / name).read_bytes()).hex == name


async def test_documents_that_belong_to_another_image_are_refused(library: OciImageLibrary, tmp_path: Path) -> None:
    one, two = [await bundle_of(tmp_path / name, name) for name in ("one", "two")]
    assert isinstance(one.documents, ImageDocuments)
    assert isinstance(two.documents, ImageDocuments)

    with pytest.raises(ImageInvalid):
        await library.keep(replace(one, documents=two.documents), "name")
    with pytest.raises(BlobCorrupt):
        await library.keep(replace(one, documents=replace(one.documents, config=two.documents.config)), "name")
    with pytest.raises(BlobCorrupt):
        await library.keep(replace(one, digest=Digest.of(b"other")), "name")
    assert await library.images() == ()


async def test_what_an_interrupted_import_left_is_reclaimed(
    library: OciImageLibrary, state_dir: Path, tmp_path: Path
) -> None:
    await library.keep(await bundle_of(tmp_path / "image", "base"), "name")
    kept = blobs(state_dir)
    left = Digest.of(b"left over")
    (state_dir / "images/blobs/sha256" / left.hex).write_bytes(b"left over")
    (state_dir / "images/.partial-0").write_bytes(b"half")

    items = await library.items()

    assert {(item.kind, item.identity, item.size_bytes) for item in items} == {
        (ReclaimableKind.BLOB, left, 9),
        (ReclaimableKind.PARTIAL, ".partial-0", 4),
    }
    assert isinstance(library, ReclaimableSpace)
    assert [(await library.reclaim(item)).held for item in items] == ["", ""]
    assert (blobs(state_dir), await library.items()) == (kept, ())
    assert not list((state_dir / "images").glob(".partial*"))


async def test_nothing_is_reclaimed_that_came_into_use(
    library: OciImageLibrary, state_dir: Path, tmp_path: Path
) -> None:
    bundle = await bundle_of(tmp_path / "image", "base")
    await library.keep(bundle, "name")
    (state_dir / "images/index.json").write_text('{"schemaVersion": 2, "manifests": []}')
    items = await library.items()
    await library.keep(bundle, "name")

    assert {(await library.reclaim(item)).held for item in items} == {"an image refers to it"}
    assert len(items) == 3
    assert (await library.images())[0].problem == ""


async def test_nothing_is_reclaimed_while_an_image_is_added(library: OciImageLibrary, state_dir: Path) -> None:
    directory = state_dir / "images/blobs/sha256"
    directory.mkdir(parents=True)
    (directory / Digest.of(b"being added").hex).write_bytes(b"being added")
    (item,) = await library.items()
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        assert (await library.reclaim(item)).held == "an image is being added"
    finally:
        os.close(descriptor)
    assert (await library.reclaim(item)).held == ""
    assert blobs(state_dir) == set()


async def test_a_broken_index_makes_nothing_reclaimable(
    library: OciImageLibrary, state_dir: Path, tmp_path: Path
) -> None:
    await library.keep(await bundle_of(tmp_path / "image", "base"), "name")
    (state_dir / "images/index.json").write_text("{")

    for call in (library.items, library.images):
        with pytest.raises(ImageInvalid):
            await call()
    with pytest.raises(ImageInvalid):
        await library.remove("name")
    with pytest.raises(ImageInvalid):
        await library.keep(await bundle_of(tmp_path / "other", "base"), "other")
    assert len(blobs(state_dir)) == 3


async def test_a_place_that_cannot_be_used_is_a_permission_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    bundle = await bundle_of(tmp_path / "image", "base")

    for state_dir in (tmp_path / "file", Path("/proc/firkin")):
        with pytest.raises(PermissionMissing):
            await OciImageLibrary(state_dir).keep(bundle, "name")


_KEEPER = """
import asyncio, sys
from pathlib import Path
from firkin.adapters.image_library_oci import OciImageLibrary
from firkin.adapters.images_oci_layout import OciLayoutImageSource
from firkin.domain.image import Platform

async def main(state_dir, image, *names):
    library = OciImageLibrary(Path(state_dir))
    bundle = await OciLayoutImageSource().resolve(image, Platform.current())
    print("ready", flush=True)
    sys.stdin.read()
    for name in names:
        await library.keep(bundle, name)

asyncio.run(main(*sys.argv[1:]))
"""


def _keeper(state_dir: Path, image: str, *names: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    command = [sys.executable, "-c", _KEEPER, str(state_dir), image, *names]
    keeper = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert keeper.stdout is not None
    assert keeper.stdout.readline() == b"ready\n"
    return keeper


async def test_several_processes_may_add_and_remove_at_once(
    library: OciImageLibrary, state_dir: Path, debian_image: str, tmp_path: Path
) -> None:
    keepers = [_keeper(state_dir, debian_image, *(f"debian:{n}-{k}" for k in range(10))) for n in range(3)]
    bundle = await bundle_of(tmp_path / "image", "base")
    for keeper in keepers:
        assert keeper.stdin is not None
        keeper.stdin.close()
    for turn in range(10):
        await library.keep(bundle, f"mine:{turn}")
        await library.remove(f"mine:{turn}")
        for item in await library.items():
            await library.reclaim(item)
    for keeper in keepers:
        assert await asyncio.to_thread(keeper.wait) == 0
        assert keeper.stdout is not None
        keeper.stdout.close()

    images = await library.images()
    assert {image.name for image in images} == {f"debian:{n}-{k}" for n in range(3) for k in range(10)}
    assert {image.problem for image in images} == {""}
    for item in await library.items():
        await library.reclaim(item)
    assert {image.problem for image in await library.images()} == {""}
    assert all(
        Digest.of((state_dir / f"images/blobs/sha256/{name}").read_bytes()).hex == name for name in blobs(state_dir)
    )


async def test_an_import_that_is_killed_leaves_the_library_usable(
    library: OciImageLibrary, state_dir: Path, tmp_path: Path
) -> None:
    await library.keep(await bundle_of(tmp_path / "image", "base"), "name")
    bundle = await bundle_of(tmp_path / "other", "other")
    with _keeper(state_dir, f"oci:{tmp_path}/other", "other") as keeper:
        layer = bundle.layers[0].path
        layer.unlink()
        os.mkfifo(layer)
        assert keeper.stdin is not None
        keeper.stdin.close()
        with layer.open("wb", buffering=0) as fifo:
            # More than a pipe holds: once all is written, the import reads and so writes.
            await asyncio.to_thread(fifo.write, bytes(200_000))
            assert {item.kind for item in await library.items()} == {ReclaimableKind.PARTIAL}
            assert [(await library.reclaim(item)).held for item in await library.items()] == ["an image is being added"]
            keeper.send_signal(signal.SIGKILL)
            keeper.wait()
        keeper.stdin = None

    assert [image.name for image in await library.images()] == ["name"]
    assert [(await library.reclaim(item)).held for item in await library.items()] == [""]
    assert await library.items() == ()
    assert len(blobs(state_dir)) == 3
