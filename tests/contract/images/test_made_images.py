"""The test images have what the tests of layers need."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from firkin.adapters.images_oci_layout import OciLayoutImageSource
from firkin.domain.image import Compression, Layer, Platform, layer_compression, sniffed_compression

from ...images.debian import OPAQUE_DIRECTORY, REMOVED_DIRECTORY, REMOVED_FILE

pytestmark = pytest.mark.real_time


async def _layers(reference: str) -> tuple[Layer, ...]:
    return (await OciLayoutImageSource().resolve(reference, Platform.current())).layers


def _whiteout(path: str) -> bytes:
    directory, _, name = path.rpartition("/")
    return f"{directory}/.wh.{name}\0".encode()


async def test_the_debian_image_has_whiteouts_and_an_opaque_directory_by_umoci(debian_image: str) -> None:
    base, changes, opaque, _ = await _layers(debian_image)

    assert base.size_bytes > 20 * 2**20
    changed = gzip.decompress(changes.path.read_bytes())
    assert _whiteout(REMOVED_FILE) in changed
    assert _whiteout(REMOVED_DIRECTORY) in changed
    assert f"{OPAQUE_DIRECTORY}/.wh..wh..opq\0".encode() in gzip.decompress(opaque.path.read_bytes())


async def test_the_debian_image_exists_in_each_compression(debian_image_of_each_compression: str) -> None:
    layers = await _layers(debian_image_of_each_compression)

    kinds = {layer_compression(layer.media_type) for layer in layers}
    assert kinds == {
        Compression(Path(debian_image_of_each_compression).name.partition(":")[0].replace("plain", "none"))
    }
    for layer in layers:
        with layer.path.open("rb") as file:
            assert sniffed_compression(file.read(4)) in kinds


async def test_all_compressions_have_the_same_chain(debian_image: str, debian_image_of_each_compression: str) -> None:
    first, other = await _layers(debian_image), await _layers(debian_image_of_each_compression)

    assert [layer.chain_id for layer in first] == [layer.chain_id for layer in other]


def test_umoci_unpacked_the_debian_image(debian_rootfs: Path) -> None:
    assert not (debian_rootfs / REMOVED_FILE).exists()
    assert not (debian_rootfs / REMOVED_DIRECTORY).exists()
    assert sorted(path.name for path in (debian_rootfs / OPAQUE_DIRECTORY).iterdir()) == ["new", "replaced"]
