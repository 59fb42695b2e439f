"""The layers that are applied: one Debian system as one layer and as four, by gzip and by zstd."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
import subprocess
import tarfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.images.cache import cache_directory
from tests.images.debian import debian_layouts
from tests.images.large import large_archive

_GZIP_LEVEL = 6
_ZSTD_LEVEL = 3
_MEDIA_TYPE = "application/vnd.oci.image.layer.v1.tar"


class LayerFile(NamedTuple):
    """A layer on the disk, and what its bytes are."""

    path: Path
    digest: str
    diff_id: str


class Input(NamedTuple):
    """Layers that make one rootfs.

    Attributes:
        name: "gzip x 1" and the like.
        layers: the lowest first.
        tars: the same, decompressed.
        layout: an OCI image layout of them, tag `latest`.
        entries, tar_bytes: of all of them.
    """

    name: str
    compression: str
    layers: Sequence[LayerFile]
    tars: Sequence[Path]
    layout: Path
    entries: int
    tar_bytes: int


def made_inputs(*, short: bool) -> list[Input]:
    """The inputs, made when absent, and read once so that they are in the page cache."""
    archive = _small_archive() if short else large_archive()
    directory = cache_directory() / ("layers-short" if short else "layers-large") / archive.parent.name
    directory.mkdir(parents=True, exist_ok=True)
    forms = [("gzip", 1), ("zstd", 4)] if short else [("gzip", 1), ("gzip", 4), ("zstd", 4)]
    return [_input(archive, directory, compression, count) for compression, count in forms]


def _small_archive() -> Path:
    """The lowest layer of the tests' Debian image, decompressed."""
    layout = debian_layouts() / "gzip"
    index = json.loads((layout / "index.json").read_text())
    manifest = json.loads(_blob(layout, index["manifests"][0]["digest"]).read_text())
    blob = _blob(layout, manifest["layers"][0]["digest"])
    archive = cache_directory() / "layers-short" / f"debian-{blob.name[:16]}" / "base.tar"
    if not archive.exists():
        archive.parent.mkdir(parents=True, exist_ok=True)
        partial = archive.with_suffix(".partial")
        with gzip.open(blob) as source, partial.open("wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
        partial.rename(archive)
    return archive


def _blob(layout: Path, digest: str) -> Path:
    return layout / "blobs" / digest.replace(":", "/")


def _input(archive: Path, directory: Path, compression: str, count: int) -> Input:
    place = directory / f"{compression}-{count}"
    if not (place / "done").exists():
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        tars = _split(archive, place, count)
        layers = [_packed(tar, place, compression) for tar in tars]
        _write_layout(place / "layout", layers, compression)
        (place / "done").write_text(json.dumps([layer._asdict() | {"path": str(layer.path)} for layer in layers]))
    layers = [
        LayerFile(Path(each["path"]), each["digest"], each["diff_id"])
        for each in json.loads((place / "done").read_text())
    ]
    tars = [archive] if count == 1 else [place / f"{number}.tar" for number in range(count)]
    for path in (*tars, *(layer.path for layer in layers)):
        with path.open("rb", buffering=0) as reader:
            while reader.read(1 << 22):
                pass
    entries = 0
    for tar in tars:
        with tarfile.open(tar) as reading:
            entries += len(reading.getmembers())
    size = sum(tar.stat().st_size for tar in tars)
    return Input(f"{compression} x {count}", compression, layers, tars, place / "layout", entries, size)


def _split(archive: Path, place: Path, count: int) -> list[Path]:
    """The archive in parts of about the same size, each an archive."""
    if count == 1:
        return [archive]
    with tarfile.open(archive) as reader:
        starts = [member.offset for member in reader.getmembers()]
        end = reader.offset
    borders = [0, *(min(starts, key=lambda at: abs(at - end * part // count)) for part in range(1, count)), end]
    paths = []
    with archive.open("rb") as source:
        for number in range(count):
            paths.append(place / f"{number}.tar")
            with paths[-1].open("wb") as target:
                source.seek(borders[number])
                left = borders[number + 1] - borders[number]
                while left:
                    piece = source.read(min(left, 1 << 22))
                    left -= len(piece)
                    target.write(piece)
                target.write(bytes(1024))
    return paths


def _packed(tar: Path, place: Path, compression: str) -> LayerFile:
    packed = place / (tar.name + (".gz" if compression == "gzip" else ".zst"))
    if compression == "gzip":
        _gzip(tar, packed)
    else:
        subprocess.run(["zstd", "-q", "-f", f"-{_ZSTD_LEVEL}", str(tar), "-o", str(packed)], check=True)
    return LayerFile(packed, _digest(packed), _digest(tar))


def _gzip(tar: Path, packed: Path) -> None:
    compressor = zlib.compressobj(_GZIP_LEVEL, wbits=31)
    with tar.open("rb") as source, packed.open("wb") as target:
        while piece := source.read(1 << 20):
            target.write(compressor.compress(piece))
        target.write(compressor.flush())


def _digest(path: Path) -> str:
    with path.open("rb") as reader:
        return "sha256:" + hashlib.file_digest(reader, "sha256").hexdigest()


def _write_layout(layout: Path, layers: Sequence[LayerFile], compression: str) -> None:
    blobs = layout / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    for layer in layers:
        (blobs / layer.digest.partition(":")[2]).hardlink_to(layer.path)
    descriptors = [
        {"mediaType": f"{_MEDIA_TYPE}+{compression}", "digest": layer.digest, "size": layer.path.stat().st_size}
        for layer in layers
    ]
    config = _written(
        blobs,
        "application/vnd.oci.image.config.v1+json",
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
            "history": [{"created_by": "benchmark"} for _ in layers],
        },
    )
    media_type = "application/vnd.oci.image.manifest.v1+json"
    body = {"schemaVersion": 2, "mediaType": media_type, "config": config, "layers": descriptors}
    manifest = _written(blobs, media_type, body)
    manifest["annotations"] = {"org.opencontainers.image.ref.name": "latest"}
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [manifest]}))
    (layout / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')


def _written(blobs: Path, media_type: str, body: object) -> dict[str, object]:
    raw = json.dumps(body).encode()
    digest = hashlib.sha256(raw).hexdigest()
    (blobs / digest).write_bytes(raw)
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(raw)}
