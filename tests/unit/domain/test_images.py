from __future__ import annotations

from pathlib import Path

import pytest

from firkin import Digest, ImageBundle, ImageConfig, Platform
from firkin.domain.digest import chain_ids
from firkin.domain.image import (
    EMPTY_CHAIN_ID,
    Compression,
    LayerBlob,
    chained_layers,
    layer_compression,
    sniffed_compression,
)
from firkin.errors import MediaTypeUnsupported

DIFF_IDS = tuple(Digest.of(data) for data in (b"1", b"2"))
BLOBS = tuple(LayerBlob(Path(f"/blobs/{n}"), Digest.of(bytes([n])), n, "tar") for n in (1, 2))


@pytest.mark.parametrize("text", ["linux/amd64", "linux/arm64/v8", "windows/amd64"])
def test_a_platform_is_read_back(text: str) -> None:
    assert str(Platform.parse(text)) == text


@pytest.mark.parametrize(
    ("wanted", "offered", "fits"),
    [
        ("linux/amd64", "linux/amd64", True),
        ("linux/amd64", "linux/arm64", False),
        ("linux/amd64", "windows/amd64", False),
        ("linux/arm64", "linux/arm64/v8", True),
        ("linux/arm64/v8", "linux/arm64", True),
        ("linux/arm/v6", "linux/arm/v7", False),
    ],
)
def test_a_platform_accepts_what_runs_there(wanted: str, offered: str, fits: bool) -> None:
    assert Platform.parse(wanted).accepts(Platform.parse(offered)) is fits


@pytest.mark.parametrize(
    ("media_type", "compression"),
    [
        ("application/vnd.oci.image.layer.v1.tar", Compression.NONE),
        ("application/vnd.oci.image.layer.v1.tar+gzip", Compression.GZIP),
        ("application/vnd.oci.image.layer.v1.tar+zstd", Compression.ZSTD),
        ("application/vnd.docker.image.rootfs.diff.tar.gzip", Compression.GZIP),
    ],
)
def test_a_media_type_tells_the_compression(media_type: str, compression: Compression) -> None:
    assert layer_compression(media_type) is compression


def test_an_unknown_media_type_is_refused() -> None:
    with pytest.raises(MediaTypeUnsupported) as raised:
        layer_compression("application/vnd.oci.image.layer.v1.tar+encrypted")
    assert raised.value.media_type.endswith("+encrypted")


@pytest.mark.parametrize(
    ("head", "compression"),
    [
        (b"\x1f\x8b\x08\x00", Compression.GZIP),
        (b"\x28\xb5\x2f\xfd", Compression.ZSTD),
        (b"\x50\x2a\x4d\x18", Compression.ZSTD),
        (b"\x5f\x2a\x4d\x18", Compression.ZSTD),
        (b"\x60\x2a\x4d\x18", Compression.NONE),
        (b"etc/", Compression.NONE),
        (b"", Compression.NONE),
    ],
)
def test_the_first_bytes_tell_the_compression(head: bytes, compression: Compression) -> None:
    assert sniffed_compression(head) is compression


def test_layers_know_their_place_in_the_chain() -> None:
    layers = chained_layers(BLOBS, DIFF_IDS)
    assert tuple(layer.chain_id for layer in layers) == chain_ids(DIFF_IDS)
    image = ImageBundle("r", Digest.of(b"m"), Platform("amd64"), ImageConfig(), layers)
    assert image.chain_id == layers[-1].chain_id
    assert image.diff_ids == DIFF_IDS


def test_as_many_diff_ids_as_layers_are_needed() -> None:
    with pytest.raises(ValueError, match="zip"):
        chained_layers(BLOBS, DIFF_IDS[:1])


def test_an_image_without_layers_has_the_empty_chain() -> None:
    assert ImageBundle("r", Digest.of(b"m"), Platform("amd64"), ImageConfig(), ()).chain_id == EMPTY_CHAIN_ID
