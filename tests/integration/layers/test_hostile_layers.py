"""Layers that want out, or that are no archives."""

from __future__ import annotations

import contextlib
import errno
import gzip
import io
import os
import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from firkin.domain.errors import (
    AgentError,
    BlobCorrupt,
    DiffIdMismatch,
    LayerRefused,
    MediaTypeUnsupported,
    StoreFull,
)
from firkin.domain.layer_limits import LayerLimits
from firkin.vminitd.filesystem.mounts import mount
from firkin.vminitd.layers.applier import apply_layer
from tests.integration.filesystem.private_mounts import in_private_mounts

from .archives import (
    END,
    PACKED,
    Member,
    Trickle,
    apply,
    archive,
    directory,
    file,
    hard_link,
    header,
    padded,
    picture,
    sha256,
    symlink,
)


@pytest.fixture
def rootfs(tmp_path: Path) -> Path:
    """A rootfs with canaries beside it, which must stay as they are."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "canary").write_text("untouched")
    (tmp_path / "rootfs").mkdir()
    return tmp_path / "rootfs"


ESCAPES: dict[str, list[tuple[Member, ...]]] = {
    "absolute name": [(file("/outside/canary"), file("//etc/x"))],
    "name that climbs": [(file("../outside/canary"),)],
    "name that climbs late": [(file("a/../../outside/canary"),)],
    "directory that climbs": [(directory("../outside", 0o700),)],
    "symlink, then through it": [(symlink("out", "../outside"), file("out/canary"))],
    "absolute symlink, then through it": [(symlink("out", "{outside}"), file("out/canary"))],
    "chain of symlinks": [(symlink("a", "b/.."), symlink("b", "../.."), file("a/outside/canary"))],
    "symlink in a lower layer": [(symlink("out", "{outside}"),), (file("out/canary"), file("out/.wh.canary", b""))],
    "parent swapped between layers": [
        (file("d/canary"),),
        (symlink("d", "../outside"),),
        (file("d/canary"), file("d/.wh..wh..opq", b"")),
    ],
    "directory over a symlink": [(symlink("out", "../outside"), directory("out", 0o777), file("out/new"))],
    "file over a symlink": [(symlink("out", "../outside/canary"), file("out", b"owned"))],
    "hard link to outside": [(hard_link("leak", "../outside/canary"),)],
    "absolute hard link": [(hard_link("leak", "{outside}/canary"),)],
    "hard link through a symlink": [(symlink("out", "../outside"), hard_link("leak", "out/canary"))],
    "hard link to a symlink, then over it": [
        (symlink("out", "../outside/canary"), hard_link("leak", "out"), file("leak", b"owned"))
    ],
    "whiteout that climbs": [(file("../outside/.wh.canary", b""),)],
    "whiteout of dot dot": [(directory("d"), file("d/.wh...", b""))],
    "whiteout of dot": [(directory("d"), file("d/.wh..", b""))],
    "whiteout without name": [(directory("d"), file("d/.wh.", b""))],
    "whiteout of a symlink": [(symlink("out", "../outside"),), (file(".wh.out", b""),)],
    "whiteout through a symlink": [(symlink("out", "{outside}"),), (file("out/.wh.canary", b""),)],
    "opaque symlink": [(symlink("out", "{outside}"),), (file("out/.wh..wh..opq", b""),)],
    "the rootfs as a file": [(file("."),)],
    "the rootfs as a symlink": [(symlink("./", "../outside"),)],
    "the rootfs hard linked": [(hard_link("x", "/"),)],
}


@pytest.mark.parametrize("name", ESCAPES)
def test_no_layer_reaches_out_of_its_rootfs(rootfs: Path, name: str) -> None:
    outside = rootfs.parent / "outside"
    before = picture(outside)
    for members in ESCAPES[name]:
        told = [m._replace(name=m.name, link=m.link.format(outside=outside)) for m in members]
        with contextlib.suppress(LayerRefused):
            apply(rootfs, archive(*told))
    assert picture(outside) == before
    assert sorted(os.listdir(rootfs.parent)) == ["outside", "rootfs"]
    canary = (outside / "canary").stat().st_ino
    assert canary not in [found.lstat().st_ino for found in rootfs.rglob("*")]


@pytest.mark.parametrize(
    ("members", "entry", "reason"),
    [
        ((file("../x"),), "../x", "climbs above"),
        ((hard_link("x", "../y"),), "x", "climbs above"),
        ((hard_link("x", "missing"),), "x", "does not exist"),
        ((directory("d"), hard_link("x", "d")), "x", "is a directory"),
        ((file("d/target"), hard_link("d", "d/target")), "d", "lies in what it replaces"),
        ((file("f"), file("f/below")), "f/below", "not a directory"),
        ((symlink("l", "l"), file("l/x")), "l/x", "too many symlinks"),
        ((file("."),), ".", "rootfs itself"),
        ((file("d/.wh..", b""),), "d/.wh..", "whiteout of nothing"),
        ((Member("x", b"M"),), "x", "type 'M'"),
        ((file("n" * 256),), "n" * 256, "name too long"),
        ((file("a/" * 2048 + "b"),), ("a/" * 2048)[:256], "longer than 4096"),
    ],
)
def test_a_refused_entry_is_named_with_the_reason(
    rootfs: Path, members: tuple[Member, ...], entry: str, reason: str
) -> None:
    with pytest.raises(LayerRefused) as caught:
        apply(rootfs, archive(*members))
    assert caught.value.entry == entry
    assert reason.lower() in caught.value.reason.lower()


def unchecked(rootfs: Path, blob: bytes, media_type: str = "", limits: LayerLimits | None = None) -> int:
    stream = Trickle(blob)
    return apply_layer(str(rootfs), stream, layer_name="layer", media_type=media_type, limits=limits).entries


MALFORMED = {
    "text": b"this is no archive at all".ljust(1024),
    "short": b"too short",
    "nothing": b"",
    "wrong checksum": b"x" + header(b"file")[1:] + END,
    "number that is none": header(b"file", size=0, mode=b"0o644\0\0\0") + END,
    "negative size": header(b"file", size_field=b"\xff" * 12) + END,
    "no name": header(b"") + END,
    "huge base-256 size": header(b"file", size_field=b"\x80" + b"\x7f" * 11) + END,
    "pax record without length": header(b"x", b"x", 12) + padded(b"path=value\n\n") + header(b"f") + END,
    "pax record too long": header(b"x", b"x", 12) + padded(b"99 path=val\n") + header(b"f") + END,
    "pax record without equals": header(b"x", b"x", 8) + padded(b"8 pathx\n") + header(b"f") + END,
    "pax size that is none": header(b"x", b"x", 11) + padded(b"11 size=-1\n") + header(b"f") + END,
    "pax header at the end": header(b"x", b"x", 11) + padded(b"11 path=aa\n") + END,
    "pax name with NUL": header(b"x", b"x", 12) + padded(b"12 path=a\0b\n") + header(b"f") + END,
    "data after one zero block": header(b"file") + bytes(512) + header(b"file") + END,
    "garbage after the end": header(b"file") + END + b"garbage".ljust(512),
    "sparse map out of order": header(
        b"s", b"S", 2, tail=b"%011o\0%011o\0%011o\0%011o\0" % (5, 1, 0, 1) + bytes(48) + b"\0%011o\0" % 9
    )
    + padded(b"ab")
    + END,
    "sparse map beyond its size": header(b"s", b"S", 2, tail=b"%011o\0%011o\0" % (8, 2) + bytes(73) + b"%011o\0" % 9)
    + padded(b"ab")
    + END,
}


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_no_proper_archive_is_refused(rootfs: Path, name: str) -> None:
    with pytest.raises(LayerRefused):
        unchecked(rootfs, MALFORMED[name])


SMALL = archive(
    directory("d"), file("d/a", b"a" * 700), file("d/" + "n" * 150, b"b"), symlink("l", "t" * 150), file("last", b"c")
).rstrip(b"\0")
SMALL = padded(SMALL) + END


@pytest.mark.parametrize("pack", PACKED.values(), ids=["plain", "gzip", "zstd"])
@pytest.mark.parametrize("blocks", range(len(SMALL) // 512))
def test_an_archive_cut_short_at_any_block_is_refused(
    rootfs: Path, blocks: int, pack: Callable[[bytes], bytes]
) -> None:
    assert len(SMALL) > 4096
    with pytest.raises(LayerRefused):
        unchecked(rootfs, pack(SMALL[: blocks * 512]))


@pytest.mark.parametrize("pack", PACKED.values(), ids=["plain", "gzip", "zstd"])
def test_a_blob_cut_short_anywhere_is_refused_or_corrupt(rootfs: Path, pack: Callable[[bytes], bytes]) -> None:
    blob = pack(SMALL)
    for length in range(0, len(blob), max(len(blob) // 50, 1)):
        with pytest.raises(LayerRefused):
            unchecked(rootfs, blob[:length])
        with pytest.raises(BlobCorrupt):
            apply_layer(str(rootfs), io.BytesIO(blob[:length]), layer_name="layer", digest=sha256(blob))


def test_an_archive_without_end_mark_is_believed_when_its_diff_id_vouches_for_it(rootfs: Path) -> None:
    for tar in (SMALL[:-1024], SMALL[:-512], b""):
        apply(rootfs, tar)


@pytest.mark.parametrize(("media_type", "pack"), PACKED.items())
def test_each_compression_gives_the_same_tree(tmp_path: Path, media_type: str, pack: Callable[[bytes], bytes]) -> None:
    (tmp_path / "plain").mkdir()
    (tmp_path / "packed").mkdir()
    apply(tmp_path / "plain", SMALL)
    seen: list[int] = []
    result = apply_layer(
        str(tmp_path / "packed"),
        Trickle(pack(SMALL), 7),
        layer_name="layer",
        media_type=media_type,
        digest=sha256(pack(SMALL)),
        diff_id=sha256(SMALL),
        on_bytes=seen.append,
    )
    for tree in ("plain", "packed"):
        os.utime(tmp_path / tree, (0, 0))
    assert picture(tmp_path / "plain") == picture(tmp_path / "packed")
    assert (result.entries, result.tar_bytes, result.blob_bytes) == (5, len(SMALL), len(pack(SMALL)))
    assert sum(seen) == result.blob_bytes
    assert media_type.endswith((result.compression, "tar"))


def test_gzip_members_zero_padding_and_zstd_frames_are_one_stream(tmp_path: Path) -> None:
    middle = 1000
    skippable = b"\x50\x2a\x4d\x18\x04\x00\x00\x00skip"
    blobs = [
        gzip.compress(SMALL[:middle]) + gzip.compress(b"") + gzip.compress(SMALL[middle:]) + bytes(1000),
        skippable + zstandard.compress(SMALL[:middle]) + skippable + zstandard.compress(SMALL[middle:]) + skippable,
    ]
    for number, blob in enumerate(blobs):
        for step in (5, 100_000):
            tree = tmp_path / f"{number}-{step}"
            tree.mkdir()
            result = apply_layer(
                str(tree), Trickle(blob, step), layer_name="layer", digest=sha256(blob), diff_id=sha256(SMALL)
            )
            assert result.entries == 5


def test_garbage_after_compressed_data_is_refused(rootfs: Path) -> None:
    for blob in (
        gzip.compress(SMALL) + b"garbage",
        gzip.compress(SMALL) + b"\0\0x",
        zstandard.compress(SMALL) + b"xxxxx",
    ):
        with pytest.raises(LayerRefused):
            unchecked(rootfs, blob)


def test_damage_inside_a_blob_is_corruption_when_its_digest_is_known(rootfs: Path) -> None:
    blob = bytearray(gzip.compress(SMALL))
    blob[len(blob) // 2] ^= 0xFF
    with pytest.raises(BlobCorrupt) as caught:
        apply_layer(str(rootfs), Trickle(bytes(blob)), layer_name="layer", digest=sha256(gzip.compress(SMALL)))
    assert caught.value.actual == sha256(bytes(blob))


def test_damage_to_the_first_bytes_is_corruption_too(rootfs: Path) -> None:
    blob = b"x" + gzip.compress(SMALL)[1:]
    media_type = "application/vnd.oci.image.layer.v1.tar+gzip"
    with pytest.raises(BlobCorrupt):
        apply_layer(
            str(rootfs), Trickle(blob), layer_name="layer", media_type=media_type, digest=sha256(gzip.compress(SMALL))
        )


def test_a_stream_that_breaks_is_no_fault_of_the_layer(rootfs: Path) -> None:
    class Breaking(Trickle):
        def read(self, size: int, /) -> bytes:
            if data := super().read(size):
                return data
            raise ConnectionResetError(errno.ECONNRESET, "reset")

    for length in (0, 1, 600, len(SMALL) - 1):
        with pytest.raises(AgentError) as caught:
            apply_layer(str(rootfs), Breaking(SMALL[:length], 512), layer_name="layer", digest=sha256(SMALL))
        assert (caught.value.operation, caught.value.errno) == ("read layer", errno.ECONNRESET)


def test_wrong_digests_are_told_apart(rootfs: Path) -> None:
    wrong = sha256(b"something else")
    with pytest.raises(BlobCorrupt) as corrupt:
        apply_layer(str(rootfs), Trickle(SMALL), layer_name="layer", digest=wrong, diff_id=sha256(SMALL))
    assert (corrupt.value.expected, corrupt.value.actual) == (wrong, sha256(SMALL))
    blob = gzip.compress(SMALL)
    with pytest.raises(DiffIdMismatch) as mismatch:
        apply_layer(str(rootfs), Trickle(blob), layer_name="layer", digest=sha256(blob), diff_id=wrong)
    assert (mismatch.value.expected, mismatch.value.actual) == (wrong, sha256(SMALL))


def test_bytes_of_another_kind_than_the_media_type_says_are_refused(rootfs: Path) -> None:
    for media_type in (*PACKED, "application/vnd.oci.image.config.v1+json"):
        packed = zstandard.compress(SMALL) if media_type.endswith(("gzip", "tar")) else SMALL
        with pytest.raises(MediaTypeUnsupported):
            unchecked(rootfs, packed, media_type)


def test_limits_are_kept(rootfs: Path) -> None:
    tight = [
        LayerLimits(entries=4),
        LayerLimits(name_bytes=100),
        LayerLimits(header_bytes=100),
        LayerLimits(tar_bytes=4096),
    ]
    for limits in tight:
        with pytest.raises(LayerRefused):
            unchecked(rootfs, SMALL, limits=limits)
    bomb = gzip.compress(header(b"zeros", size=2**33 - 1) + bytes(50 * 2**20))
    with pytest.raises(LayerRefused, match="larger than"):
        unchecked(rootfs, bomb, limits=LayerLimits(tar_bytes=2**20))


def test_a_cancelled_application_ends_at_its_next_read(rootfs: Path) -> None:
    asked: list[bool] = []

    def cancelled() -> bool:
        asked.append(True)
        return len(asked) > 3

    with pytest.raises(AgentError) as caught:
        apply_layer(str(rootfs), Trickle(SMALL, 100), layer_name="layer", cancelled=cancelled)
    assert caught.value.errno == errno.ECANCELED
    assert len(asked) == 4


@in_private_mounts
def test_a_store_that_fills_up_is_store_full(tmp_path: Path) -> None:
    mount("tmpfs", "tmpfs", str(tmp_path / "small"), ["size=64k"])
    with pytest.raises(StoreFull):
        unchecked(tmp_path / "small", archive(file("large", bytes(2**20))))


def test_old_sparse_files_have_holes_where_the_map_says(rootfs: Path) -> None:
    extents = b"%011o\0%011o\0%011o\0%011o\0" % (0, 3, 1_000_000, 2)
    tail = extents + bytes(48) + b"\0" + b"%011o\0" % 2_000_000
    tar = header(b"sparse", b"S", 5, magic=b"ustar  \0", tail=tail) + padded(b"abcde") + END
    assert unchecked(rootfs, tar) == 1
    content = (rootfs / "sparse").read_bytes()
    assert (len(content), content[:4], content[1_000_000:1_000_003]) == (2_000_000, b"abc\0", b"de\0")
    assert (rootfs / "sparse").stat().st_blocks * 512 < 100_000


@pytest.mark.parametrize("version", ["0.0", "0.1", "1.0"])
def test_sparse_files_of_gnu_tar_arrive_whole(rootfs: Path, tmp_path: Path, version: str) -> None:
    original = tmp_path / "holes"
    with open(original, "wb") as writer:
        for offset in range(0, 4_000_000, 100_000):
            writer.seek(offset)
            writer.write(b"data%d" % offset)
        writer.truncate(5_000_000)
    command = [
        "tar",
        "--sparse",
        f"--sparse-version={version}",
        "--format=posix",
        "-C",
        str(tmp_path),
        "-cf",
        "-",
        "holes",
    ]
    tar = subprocess.run(command, check=True, capture_output=True).stdout
    assert unchecked(rootfs, tar) == 1
    assert (rootfs / "holes").read_bytes() == original.read_bytes()


def test_star_v7_and_contiguous_entries_are_read(rootfs: Path) -> None:
    tar = (
        header(b"old/", b"\0", magic=bytes(8))
        + header(b"old/file", b"\0", 1, magic=bytes(8))
        + padded(b"x")
        + header(b"contiguous", b"7", 1)
        + padded(b"y")
        + header(b"global", b"g", 11)
        + padded(b"11 uid=555\n")
        + header(b"after", b"0")
        + END
    )
    assert unchecked(rootfs, tar) == 4
    assert (rootfs / "old" / "file").read_bytes() == b"x"
    assert (rootfs / "contiguous").read_bytes() == b"y"
    assert (rootfs / "contiguous").stat().st_uid == 0
    assert (rootfs / "after").stat().st_uid == 555


def test_a_size_on_a_link_or_directory_brings_no_data(rootfs: Path) -> None:
    tar = (
        header(b"f", b"0")
        + header(b"l", b"1", 700, link=b"f")
        + header(b"d", b"2", 700, link=b"f")
        + header(b"z")
        + END
    )
    assert unchecked(rootfs, tar) == 4


def test_no_damage_makes_more_than_a_refusal(tmp_path: Path) -> None:
    """Bytes are changed at random, with checksums mended, so that the damage gets past them."""
    chance = random.Random(20240229)
    outcomes = {True: 0, False: 0}
    for number in range(400):
        tar = bytearray(SMALL)
        for _ in range(chance.randrange(1, 6)):
            tar[chance.randrange(len(tar))] = chance.choice((0, 0x2E, 0x2F, 0x37, 0x80, 0xFF, chance.randrange(256)))
        for at in range(0, len(tar), 512):
            if tar[at + 257 : at + 262] == b"ustar":
                tar[at + 148 : at + 156] = b"        "
                tar[at + 148 : at + 156] = b"%06o\0 " % sum(tar[at : at + 512])
        rootfs = tmp_path / str(number)
        rootfs.mkdir()
        try:
            unchecked(rootfs, bytes(tar))
        except LayerRefused:
            outcomes[False] += 1
        else:
            outcomes[True] += 1
    assert min(outcomes.values()) > 20
    assert len(os.listdir(tmp_path)) == 400


def test_very_deep_trees_are_made_hidden_and_removed(rootfs: Path) -> None:
    step = "d/" * 1500
    apply(rootfs, archive(symlink("s", step + "e"), file("s/" + step + "old"), file("other/x")))
    apply(rootfs, archive(file("s/" + step + "new"), file("d/.wh..wh..opq", b"")))
    listed = subprocess.run(["find", ".", "-type", "f"], cwd=rootfs, check=True, capture_output=True, text=True).stdout
    assert sorted(path.rsplit("/", 1)[1] for path in listed.split()) == ["new", "x"]
    apply(rootfs, archive(file(".wh.d", b""), file(".wh.s", b"")))
    assert os.listdir(rootfs) == ["other"]
