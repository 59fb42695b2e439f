"""Archives that are broken or hostile: each is refused by the error that says so, and nothing is written."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import io
import json
import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firkin.adapters.images_docker_archive import DockerArchiveImageSource
from firkin.domain.digest import Digest
from firkin.domain.image import ImageBundle, Platform
from firkin.errors import (
    BlobCorrupt,
    DiffIdMismatch,
    FirkinError,
    ImageInvalid,
    ImageNotFound,
    ImageSpaceMissing,
    PermissionMissing,
)

from .archives import ArchiveWriter

pytestmark = pytest.mark.real_time

HERE = Platform.current()


@pytest.fixture
def writer(tmp_path: Path) -> ArchiveWriter:
    return ArchiveWriter(tmp_path / "image.tar")


async def resolved(reference: str, cache: Path) -> ImageBundle:
    return await DockerArchiveImageSource(cache).resolve(reference, HERE)


async def refused(reference: str, tmp_path: Path, error: type[FirkinError], match: str) -> None:
    """The archive is refused, and all that is left below the cache is no layer."""
    with pytest.raises(error, match=match):
        await resolved(reference, tmp_path / "cache")
    assert [path for path in (tmp_path / "cache").rglob("*") if not path.is_dir()] == []


@pytest.mark.parametrize(
    "name",
    ["/etc/passwd", "../../../../etc/passwd", "a/../../b", "..", "", ".", "/"],
)
async def test_a_name_outside_of_the_archive_is_refused(writer: ArchiveWriter, tmp_path: Path, name: str) -> None:
    writer.file(name or "x", b"base")
    writer.image(writer.config(), [name])

    await refused(writer.written(), tmp_path, ImageInvalid, "leads out of the archive")


@pytest.mark.parametrize("target", ["/etc/passwd", "../../etc/passwd", "..", "../x/../../y"])
@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE], ids=["symbolic", "hard"])
async def test_a_link_out_of_the_archive_is_refused(
    writer: ArchiveWriter, tmp_path: Path, target: str, kind: bytes
) -> None:
    writer.image(writer.config(), [writer.link("d/layer.tar", target, kind)])

    await refused(writer.written(), tmp_path, ImageInvalid, "leads out of the archive")


async def test_links_in_a_circle_are_refused(writer: ArchiveWriter, tmp_path: Path) -> None:
    writer.link("a", "b")
    writer.link("b", "a")
    writer.image(writer.config(), ["a"])

    await refused(writer.written(), tmp_path, ImageInvalid, "through more than 16 others")


async def test_a_link_to_itself_is_refused(writer: ArchiveWriter, tmp_path: Path) -> None:
    writer.image(writer.config(), [writer.link("a", "a", tarfile.LNKTYPE)])

    await refused(writer.written(), tmp_path, ImageInvalid, "through more than 16 others")


@pytest.mark.parametrize("which", ["layer", "config", "manifest.json"])
async def test_what_is_there_twice_means_different_things_to_different_readers(
    writer: ArchiveWriter, tmp_path: Path, which: str
) -> None:
    config, layer = writer.config(), writer.layer("base")
    writer.file({"layer": f"./{layer}", "config": config, "manifest.json": "manifest.json"}[which], b"[]")
    writer.image(config, [layer])

    await refused(writer.written(), tmp_path, ImageInvalid, "more than once")


async def test_what_nobody_refers_to_may_be_there_twice(writer: ArchiveWriter, tmp_path: Path) -> None:
    for name in ("repositories", "repositories", "/absolute", "../parent"):
        writer.file(name, b"{}")
    writer.image()

    assert (await resolved(writer.written(), tmp_path)).layers


async def test_a_layer_that_is_no_file_is_refused(writer: ArchiveWriter, tmp_path: Path) -> None:
    writer.link("directory", "", tarfile.DIRTYPE)
    writer.link("fifo", "", tarfile.FIFOTYPE)
    writer.image(writer.config(), ["fifo"])

    await refused(writer.written(), tmp_path, ImageInvalid, "has no file 'fifo'")


async def test_a_layer_that_is_missing_is_told(writer: ArchiveWriter, tmp_path: Path) -> None:
    writer.image(writer.config(), ["absent/layer.tar"])

    await refused(writer.written(), tmp_path, ImageInvalid, "has no file 'absent/layer.tar'")


async def test_a_layer_with_other_bytes_is_refused(writer: ArchiveWriter, tmp_path: Path) -> None:
    writer.image(writer.config(["base"]), [writer.file("layer.tar", b"evil")])

    await refused(writer.written(), tmp_path, DiffIdMismatch, "has diff id")


async def test_a_config_with_another_digest_than_its_name_is_refused(writer: ArchiveWriter, tmp_path: Path) -> None:
    writer.image(writer.file("0" * 64 + ".json", b"{}"), [])

    await refused(writer.written(), tmp_path, BlobCorrupt, "0000")


async def test_as_many_layers_as_diff_ids_are_needed(writer: ArchiveWriter, tmp_path: Path) -> None:
    writer.image(writer.config(["base", "top"]), [writer.layer("base")])

    await refused(writer.written(), tmp_path, ImageInvalid, "1 layers, its config 2 diff_ids")


@pytest.mark.parametrize(
    ("manifest", "error"),
    [
        ({}, ImageInvalid),
        ("[]", ImageInvalid),
        ([{}], ImageInvalid),
        ([None], ImageInvalid),
        ([{"Config": 1, "Layers": []}], ImageInvalid),
        ([{"Config": "c", "Layers": "x"}], ImageInvalid),
        ([{"Config": "c", "Layers": [], "RepoTags": "x"}], ImageInvalid),
        ([{"Config": "\udc80", "Layers": []}], ImageInvalid),
        ([{"Config": "absent.json", "Layers": []}], ImageInvalid),
        ([], ImageNotFound),
    ],
    ids=str,
)
async def test_a_broken_manifest_is_refused(
    writer: ArchiveWriter, tmp_path: Path, manifest: object, error: type[FirkinError]
) -> None:
    await refused(writer.written(manifest), tmp_path, error, ".")


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[" * 200_000, b"\xff", b"null"], ids=["empty", "cut", "deep", "byte", "null"]
)
async def test_a_manifest_that_is_no_json_is_refused(tmp_path: Path, data: bytes) -> None:
    writer = ArchiveWriter(tmp_path / "image.tar")
    writer.link("manifest.json", "other.json")
    writer.file("other.json", data)
    writer.path.write_bytes(archive_without_own_manifest(writer))

    await refused(writer.reference(), tmp_path, ImageInvalid, ".")


def archive_without_own_manifest(writer: ArchiveWriter) -> bytes:
    writer.written()
    content = io.BytesIO()
    with tarfile.open(writer.path) as source, tarfile.open(fileobj=content, mode="w") as target:
        for entry in source.getmembers()[:-1]:
            target.addfile(entry, source.extractfile(entry) if entry.isreg() else None)
    return content.getvalue()


async def test_a_document_of_more_than_four_mebibytes_is_refused(writer: ArchiveWriter, tmp_path: Path) -> None:
    writer.image(writer.file("config.json", b" " * (4 * 2**20 + 1)), [])

    await refused(writer.written(), tmp_path, ImageInvalid, "more than 4194304")


def header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    entry = tarfile.TarInfo(name)
    entry.size, entry.type = size, kind
    return entry.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize("gzipped", [False, True], ids=["plain", "gzipped"])
@pytest.mark.parametrize("size", [513, 2**40, 2**63 - 1, 2**64, 2**85], ids=str)
async def test_sizes_that_the_archive_does_not_have_are_refused(tmp_path: Path, size: int, gzipped: bool) -> None:
    data = header("manifest.json", size) + bytes(512)
    (tmp_path / "image.tar").write_bytes(gzip.compress(data) if gzipped else data)

    await refused(f"docker-archive:{tmp_path}/image.tar", tmp_path, ImageInvalid, "cut off|cannot be read|more than")


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE])
async def test_headers_of_any_size_take_no_memory(tmp_path: Path, kind: bytes) -> None:
    with (tmp_path / "image.tar").open("wb") as file:
        file.write(header("x", 2**33, kind))
        file.truncate(2**33 + 1024)

    with pytest.raises((ImageInvalid, ImageNotFound)):
        await resolved(f"docker-archive:{tmp_path}/image.tar", tmp_path / "cache")


async def test_more_entries_than_an_image_needs_are_refused(tmp_path: Path) -> None:
    (tmp_path / "image.tar").write_bytes(header("x", 0) * 100_001)

    await refused(f"docker-archive:{tmp_path}/image.tar", tmp_path, ImageInvalid, "more entries")


async def test_a_sparse_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "image.tar").write_bytes(header("x", 0, tarfile.GNUTYPE_SPARSE) + bytes(1024))

    await refused(f"docker-archive:{tmp_path}/image.tar", tmp_path, ImageInvalid, "sparse")


@pytest.mark.parametrize("gzipped", [False, True], ids=["plain", "gzipped"])
async def test_an_archive_that_is_cut_off_is_refused_or_lacks_nothing_that_counts(
    writer: ArchiveWriter, tmp_path: Path, gzipped: bool
) -> None:
    writer.image(writer.config(), [writer.file("layer.tar", b"base")])
    writer.written(gzipped=gzipped)
    whole = writer.path.read_bytes()
    bundle = await resolved(writer.reference(), tmp_path / "cache")
    refusals = 0
    for length in range(0, len(whole), 7 if gzipped else 101):
        writer.path.write_bytes(whole[:length])
        try:
            # Only of the zeros at the end something may be missing.
            assert await resolved(writer.reference(), tmp_path / "cache") == bundle
        except (ImageInvalid, ImageNotFound):
            refusals += 1
    assert refusals > 20


async def test_gzip_may_have_several_members_and_zeros_behind_them(writer: ArchiveWriter, tmp_path: Path) -> None:
    writer.image(writer.config(), [writer.file("layer.tar", b"base")])
    writer.written()
    plain = writer.path.read_bytes()
    members = [gzip.compress(plain[start : start + 700]) for start in range(0, len(plain), 700)]
    writer.path.write_bytes(b"".join(members) + bytes(100))

    assert (await resolved(writer.reference(), tmp_path)).layers[0].path.read_bytes() == b"base"


@pytest.mark.parametrize("place", [20, -4, -8])
async def test_a_damaged_gzip_stream_is_refused_or_harmless(writer: ArchiveWriter, tmp_path: Path, place: int) -> None:
    writer.image(writer.config(), [writer.file("layer.tar", os.urandom(100_000))])
    writer.written(gzipped=True)
    data = bytearray(writer.path.read_bytes())
    data[place] ^= 0xFF
    writer.path.write_bytes(data)

    with pytest.raises((ImageInvalid, DiffIdMismatch)):
        await resolved(writer.reference(), tmp_path / "cache")


async def test_a_lack_of_space_is_told_before_anything_is_written(tmp_path: Path) -> None:
    """A sparse file as the archive, whose one layer is larger than the disk."""
    status = os.statvfs(tmp_path)
    size = status.f_blocks * status.f_frsize + 2**20
    config = json.dumps(
        {"architecture": HERE.architecture, "os": "linux", "rootfs": {"type": "layers", "diff_ids": [Digest.of(b"")]}}
    ).encode()
    manifest = json.dumps([{"Config": "c", "Layers": ["layer"]}]).encode()
    with (tmp_path / "image.tar").open("wb") as file:
        for name, data in (("c", config), ("manifest.json", manifest)):
            file.write(header(name, len(data)) + data + bytes(-len(data) % 512))
        file.write(header("layer", size))
        file.truncate(file.tell() + size + -size % 512 + 1024)

    await refused(f"docker-archive:{tmp_path}/image.tar", tmp_path, ImageSpaceMissing, "firkin image prune")


async def test_what_may_not_be_read_or_written_is_a_permission_error(writer: ArchiveWriter, tmp_path: Path) -> None:
    writer.image()
    reference = writer.written()
    (tmp_path / "file").touch()

    for cache in (tmp_path / "file", Path("/proc/firkin")):
        with pytest.raises(PermissionMissing):
            await resolved(reference, cache)


ENTRIES = st.lists(
    st.tuples(
        st.sampled_from(["manifest.json", "a", "b", "d/c", "../a", "/a", "./b", "layer.tar"]),
        st.sampled_from([b"0", b"1", b"2", b"5", b"6", b"L", b"K", b"x", b"g", b"S", b"\0", b"7"]),
        st.one_of(
            st.binary(max_size=600),
            st.sampled_from(
                [
                    b'[{"Config": "a", "Layers": ["b"]}]',
                    b'[{"Config": "b", "Layers": null, "RepoTags": ["a:b"]}]',
                    b'{"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}',
                    b"16 path=../../a\n",
                    b"13 size=1000\n",
                    b"20 linkpath=/etc/pa\n",
                ]
            ),
        ),
        st.sampled_from(["", "a", "b", "../a", "/etc/passwd", "d/c"]),
    ),
    max_size=6,
)


@settings(max_examples=300, deadline=None)
@given(entries=ENTRIES, cut=st.integers(0, 4096))
def test_archives_of_any_entries_raise_nothing_but_errors_of_firkin(
    tmp_path_factory: pytest.TempPathFactory, entries: list[tuple[str, bytes, bytes, str]], cut: int
) -> None:
    data = b""
    for name, kind, content, target in entries:
        entry = tarfile.TarInfo(name)
        entry.size, entry.type, entry.linkname = len(content), kind, target
        data += entry.tobuf(tarfile.GNU_FORMAT) + content + bytes(-len(content) % 512)
    data += bytes(1024)
    directory = tmp_path_factory.getbasetemp() / "mutated"
    directory.mkdir(exist_ok=True)
    (directory / "image.tar").write_bytes(data[: len(data) - cut])

    with contextlib.suppress(FirkinError):
        asyncio.run(resolved(f"docker-archive:{directory}/image.tar", directory / "cache"))
    assert {path.name for path in directory.iterdir()} <= {"image.tar", "cache"}
