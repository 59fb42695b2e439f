"""Archives as docker, podman and skopeo write them."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import subprocess
import sys
import tarfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from firkin.adapters.images_docker_archive import DockerArchiveImageSource
from firkin.adapters.images_docker_archive.archive_files import ArchiveFile, archive_members
from firkin.adapters.images_oci_layout import OciLayoutImageSource
from firkin.domain.digest import Digest
from firkin.domain.image import ImageBundle, Platform
from firkin.errors import ImageInvalid, ImageNotFound, InvalidReference, MediaTypeUnsupported, TagNotFound

from ...images.tools import run
from ...integration.layers.golden import blocks
from .archives import ArchiveWriter

pytestmark = pytest.mark.real_time

HERE = Platform.current()
GZIPPED = "application/vnd.oci.image.layer.v1.tar+gzip"


@pytest.fixture
def writer(tmp_path: Path) -> ArchiveWriter:
    return ArchiveWriter(tmp_path / "image.tar")


async def resolved(reference: str, cache: Path) -> ImageBundle:
    return await DockerArchiveImageSource(cache).resolve(reference, HERE)


def skopeo_archive(image: str, path: Path, *names: str) -> Path:
    more = [argument for name in names[1:] for argument in ("--additional-tag", name)]
    run("skopeo", "copy", "-q", *more, image, f"docker-archive:{path}:{names[0]}")
    return path


@pytest.mark.parametrize("gzipped", [False, True], ids=["plain", "gzipped"])
async def test_an_archive_by_skopeo_is_the_image_it_was_made_from(
    debian_image: str, tmp_path: Path, gzipped: bool
) -> None:
    archive = skopeo_archive(debian_image, tmp_path / "debian.tar", "debian:12")
    if gzipped:
        run("busybox", "gzip", "-1", archive)
        archive = tmp_path / "debian.tar.gz"

    bundle = await resolved(f"docker-archive:{archive}", tmp_path / "cache")
    original = await OciLayoutImageSource().resolve(debian_image, HERE)

    assert (bundle.config, bundle.diff_ids, bundle.chain_id) == (original.config, original.diff_ids, original.chain_id)
    for layer in bundle.layers:
        assert Digest.of(layer.path.read_bytes()) == layer.digest == layer.diff_id
        assert layer.path.stat().st_size == layer.size_bytes
    assert bundle.documents is not None
    assert Digest.of(bundle.documents.manifest) == bundle.digest
    assert bundle.documents.name == "debian:12"


@pytest.mark.parametrize(
    "name",
    ["busybox", "busybox:latest", "library/busybox", "docker.example/library/busybox:latest", "example.org/a/b:1"],
)
async def test_a_name_may_be_short_or_full(busybox_image: str, tmp_path: Path, name: str) -> None:
    archive = skopeo_archive(
        busybox_image, tmp_path / "busybox.tar", "docker.example/library/busybox:latest", "example.org/a/b:1"
    )

    assert (await resolved(f"docker-archive:{archive}:{name}", tmp_path / "cache")).layers


async def test_one_of_several_images_is_chosen_by_name_or_place(writer: ArchiveWriter, tmp_path: Path) -> None:
    for text in ("one", "two"):
        writer.image(writer.config([text], None, {"Cmd": [text]}), [writer.layer(text)], [f"{text}:latest"])
    writer.written()

    for name, text in {"one": "one", "two:latest": "two", "@0": "one", "@1": "two"}.items():
        assert (await resolved(writer.reference(name), tmp_path)).config.command == (text,)
    for name in ("three", "@2", "@x", "@99999999999"):
        with pytest.raises(TagNotFound) as caught:
            await resolved(writer.reference(name), tmp_path)
        assert (caught.value.tag, caught.value.available) == (name, ("one:latest", "two:latest"))
    with pytest.raises(TagNotFound) as caught:
        await resolved(writer.reference(), tmp_path)
    assert (caught.value.tag, caught.value.available) == (None, ("one:latest", "two:latest"))


async def test_one_image_under_two_entries_needs_no_name(writer: ArchiveWriter, tmp_path: Path) -> None:
    config, layer = writer.config(), writer.layer("base")
    writer.image(config, [layer], ["a:1"])
    writer.image(config, [layer], ["b:1"])

    assert (await resolved(writer.written(), tmp_path)).layers


async def test_layers_may_be_links_to_each_other(writer: ArchiveWriter, tmp_path: Path) -> None:
    writer.file("aaa/layer.tar", b"base")
    writer.link("bbb/layer.tar", "../aaa/layer.tar")
    writer.link("ccc/layer.tar", "./bbb/layer.tar", tarfile.LNKTYPE)
    writer.image(writer.config(["base"] * 3), ["aaa/layer.tar", "bbb/layer.tar", "ccc/layer.tar"])

    bundle = await resolved(writer.written(), tmp_path)

    assert [layer.path.read_bytes() for layer in bundle.layers] == [b"base"] * 3
    assert len({layer.chain_id for layer in bundle.layers}) == 3


@pytest.mark.parametrize("tar_format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
async def test_names_may_be_long_and_begin_with_a_dot(tmp_path: Path, tar_format: int) -> None:
    writer = ArchiveWriter(tmp_path / "image.tar", tar_format)
    name = "./" + "/".join(["d" * 60] * (3 if tar_format == tarfile.USTAR_FORMAT else 9)) + "/layer.tar"
    writer.image(writer.config(), [writer.file(name, b"base")])

    assert (await resolved(writer.written(), tmp_path)).layers[0].path.read_bytes() == b"base"


async def test_an_archive_of_blobs_may_have_compressed_layers(writer: ArchiveWriter, tmp_path: Path) -> None:
    """What docker 25 and later save: an OCI layout in a tar, with a manifest.json beside."""
    compressed = gzip.compress(b"base", mtime=0)
    config = json.dumps(
        {
            "architecture": HERE.architecture,
            "os": HERE.os,
            "rootfs": {"type": "layers", "diff_ids": [Digest.of(b"base")]},
        }
    ).encode()
    writer.file("oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
    writer.file("index.json", b"{}")
    config_name = writer.file(f"blobs/sha256/{Digest.of(config).hex}", config)
    layer_name = writer.file(f"blobs/sha256/{Digest.of(compressed).hex}", compressed)
    writer.image(config_name, [layer_name])
    reference = writer.written()

    for _ in range(2):
        (layer,) = (await resolved(reference, tmp_path / "cache")).layers
        assert (layer.digest, layer.diff_id) == (Digest.of(compressed), Digest.of(b"base"))
        assert (layer.path.read_bytes(), layer.media_type) == (compressed, GZIPPED)


async def test_an_archive_by_buildah_is_read(tmp_path: Path) -> None:
    places: list[str | Path] = ["--root", tmp_path / "root", "--runroot", tmp_path / "run", "--storage-driver", "vfs"]
    (tmp_path / "file").write_text("copied")
    run("buildah", *places, "from", "--name", "made", "scratch")
    run("buildah", *places, "copy", "-q", "made", tmp_path / "file", "/file")
    run("buildah", *places, "config", "--cmd", "/file", "made")
    run("buildah", *places, "commit", "-q", "made", f"docker-archive:{tmp_path}/saved.tar:made/by:buildah")

    bundle = await resolved(f"docker-archive:{tmp_path}/saved.tar:made/by:buildah", tmp_path / "cache")

    (layer,) = bundle.layers
    with tarfile.open(layer.path) as tar:
        assert [entry.name for entry in tar if entry.isreg()] == ["file"]
    assert bundle.config.command[-1] == "/file"


async def test_the_longest_existing_file_is_meant(tmp_path: Path) -> None:
    for name, text in {"image.tar": "short", "image.tar:1": "long"}.items():
        writer = ArchiveWriter(tmp_path / name)
        writer.image(writer.config(["base"], None, {"Cmd": [text]}), [writer.layer("base")], ["1:latest"])
        writer.written()

    assert (await resolved(f"docker-archive:{tmp_path}/image.tar:1", tmp_path)).config.command == ("long",)
    assert (await resolved(f"docker-archive:{tmp_path}/image.tar", tmp_path)).config.command == ("short",)


@pytest.mark.parametrize(
    "reference", ["docker-archive:", "docker-archive::name", "oci:x", "docker-archive", "docker-archive:a\0b"]
)
async def test_what_is_no_reference_is_refused(tmp_path: Path, reference: str) -> None:
    with pytest.raises(InvalidReference):
        await resolved(reference, tmp_path)


async def test_nothing_after_the_colon_is_no_name(writer: ArchiveWriter, tmp_path: Path) -> None:
    writer.image()
    writer.written()

    with pytest.raises(InvalidReference, match="nothing follows"):
        await resolved(writer.reference(""), tmp_path)


async def test_what_is_no_archive_says_what_it_may_be(busybox_image: str, tmp_path: Path) -> None:
    layout = busybox_image.split(":")[1]
    with pytest.raises(ImageNotFound, match=f"an OCI image layout is oci:{layout}"):
        await resolved(f"docker-archive:{layout}", tmp_path)
    run("skopeo", "copy", "-q", busybox_image, f"oci-archive:{tmp_path}/oci.tar:latest")
    with pytest.raises(ImageNotFound, match="it looks like an OCI archive"):
        await resolved(f"docker-archive:{tmp_path}/oci.tar", tmp_path)
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(ImageNotFound, match="not a regular file"):
        await resolved(f"docker-archive:{tmp_path}/fifo", tmp_path)
    with pytest.raises(ImageInvalid, match="cannot be read"):
        await resolved(f"docker-archive:{__file__}", tmp_path)


@pytest.mark.parametrize("tool", ["xz", "zstd", "bzip2"])
async def test_other_compressions_are_named(writer: ArchiveWriter, tmp_path: Path, tool: str) -> None:
    magic = {"xz": b"\xfd7zXZ\0", "zstd": b"\x28\xb5\x2f\xfd", "bzip2": b"BZh91AY"}
    writer.path.write_bytes(magic[tool] + bytes(100))

    with pytest.raises(MediaTypeUnsupported, match=f"compressed by {tool}; unpack it first"):
        await resolved(writer.reference(), tmp_path)


async def test_layers_are_copied_once_and_only_those_of_the_image(writer: ArchiveWriter, tmp_path: Path) -> None:
    for text in ("one", "two"):
        writer.image(writer.config([text]), [writer.layer(text)], [f"{text}:latest"])
    writer.written()
    cache = tmp_path / "cache"

    first = await resolved(writer.reference("one"), cache)
    before = first.layers[0].path.stat()
    second = await resolved(writer.reference("one"), cache)

    assert second == first
    assert second.layers[0].path.stat().st_ino == before.st_ino
    assert [path.name for path in cache.rglob("*") if path.is_file()] == [first.layers[0].digest.hex]
    assert cache.stat().st_mode & 0o777 == 0o700


def _resolved_paths(reference: str, cache: Path) -> list[Path]:
    return [layer.path for layer in asyncio.run(resolved(reference, cache)).layers]


def test_several_processes_may_copy_the_same_layers(debian_image: str, tmp_path: Path) -> None:
    reference = f"docker-archive:{skopeo_archive(debian_image, tmp_path / 'debian.tar', 'debian:12')}"
    cache = tmp_path / "cache"

    with ProcessPoolExecutor(3, mp_context=get_context("spawn")) as processes:
        runs = [processes.submit(_resolved_paths, reference, cache) for _ in range(3)]
        paths = [run.result() for run in runs]

    assert paths[0] == paths[1] == paths[2]
    for path in paths[0]:
        assert Digest.of(path.read_bytes()).hex == path.name
    assert {path for path in cache.rglob("*") if path.is_file()} == set(paths[0])


def test_memory_is_bounded_however_large_a_layer_is(tmp_path: Path) -> None:
    """A layer of 300 MiB of zeros, in an archive of a few hundred KiB, by a process that uses less than 100 MiB."""
    size = 300 * 2**20
    script = f"""
import asyncio, hashlib, io, json, subprocess, sys, tarfile, gzip
from pathlib import Path
from firkin.adapters.images_docker_archive import DockerArchiveImageSource
from firkin.adapters.images_docker_archive.archive_files import ArchiveFile, archive_members
from firkin.domain.image import Platform
class Zeros(io.RawIOBase):
    left = {size}
    def readable(self): return True
    def read(self, n=-1):
        n = min(n, self.left); self.left -= n; return bytes(n)
digest = hashlib.sha256()
for _ in range(300): digest.update(bytes(2**20))
config = json.dumps({{"architecture": Platform.current().architecture, "os": "linux",
    "rootfs": {{"type": "layers", "diff_ids": ["sha256:" + digest.hexdigest()]}}}}).encode()
manifest = json.dumps([{{"Config": "c", "Layers": ["l"]}}]).encode()
path = Path(sys.argv[1]) / "large.tar.gz"
with gzip.open(path, "wb", 1) as out, tarfile.open(fileobj=out, mode="w|") as tar:
    for name, size, data in (("c", len(config), io.BytesIO(config)), ("l", {size}, Zeros()),
                             ("manifest.json", len(manifest), io.BytesIO(manifest))):
        entry = tarfile.TarInfo(name); entry.size = size; tar.addfile(entry, data)
source = DockerArchiveImageSource(Path(sys.argv[1]) / "cache")
bundle = asyncio.run(source.resolve(f"docker-archive:{{path}}", Platform.current()))
assert bundle.layers[0].path.stat().st_size == {size}
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], env=environment, capture_output=True, text=True
    )

    assert done.returncode == 0, done.stderr
    assert int(done.stdout) * 1024 < 100 * 2**20


def test_a_global_header_holds_for_every_file_after_it() -> None:
    data = blocks.layer(
        blocks.file("a", b"1"),
        blocks.global_pax({"size": "3", "path": "all"}),
        blocks.gnu_name("long"),
        blocks.file("x", b"123", size=0),
        blocks.pax({"path": "own"}),
        blocks.file("x", b"456", size=0),
        blocks.file("x", b"789", size=0),
    )
    found = {}
    for name, member in archive_members(lambda offset, size: data[offset : offset + size]):
        assert isinstance(member, ArchiveFile)
        found[name] = data[member.offset : member.offset + member.size]
    assert found == {"a": b"1", "long": b"123", "own": b"456", "all": b"789"}


def test_of_several_headers_of_a_file_those_count_that_count_in_layers() -> None:
    data = blocks.layer(
        blocks.pax({"path": "own"}),
        blocks.gnu_name("long"),
        blocks.file("first", b"1"),
        blocks.pax({"path": "forgotten"}),
        blocks.pax({"comment": "the last one counts"}),
        blocks.file("second", b"2"),
        blocks.gnu_name("named"),
        blocks.pax({"path": ""}),
        blocks.file("third", b"3"),
    )
    found = [name for name, _ in archive_members(lambda offset, size: data[offset : offset + size])]
    assert found == ["own", "second", "named"]
