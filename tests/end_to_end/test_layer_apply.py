from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from firkin.adapters.cli.layer_limits import LAYER_LIMITS
from firkin.domain.layer_limits import LayerLimits

from .command import Command


def _tar(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@pytest.fixture
def layers(tmp_path: Path) -> tuple[Path, Path]:
    """A plain layer, and a gzip layer that replaces one of its files and removes another."""
    below, above = tmp_path / "below.tar", tmp_path / "above.tar.gz"
    below.write_bytes(_tar({"etc/one": b"1", "etc/two": b"2"}))
    above.write_bytes(gzip.compress(_tar({"etc/one": b"one", "etc/.wh.two": b""})))
    return below, above


def test_layers_are_applied_in_order(firkin: Command, layers: tuple[Path, Path], tmp_path: Path) -> None:
    done = firkin.run("layer", "apply", str(tmp_path / "rootfs"), *map(str, layers))
    assert done == (0, b"", "")
    assert (tmp_path / "rootfs/etc/one").read_bytes() == b"one"
    assert not (tmp_path / "rootfs/etc/two").exists()


def test_what_is_stated_of_a_layer_is_checked(firkin: Command, layers: tuple[Path, Path], tmp_path: Path) -> None:
    blob = layers[1].read_bytes()
    stated = f"media-type=application/vnd.oci.image.layer.v1.tar+gzip,digest={_digest(blob)}"
    stated += f",diff-id={_digest(gzip.decompress(blob))}"
    done = firkin.run("layer", "apply", "-v", str(tmp_path / "rootfs"), str(layers[0]), f"{layers[1]},{stated}")
    assert done.code == 0
    assert f"diff id {_digest(gzip.decompress(blob))}" in done.stderr


@pytest.mark.parametrize("key", ["digest", "diff-id"])
def test_a_layer_of_another_digest_is_refused_and_leaves_the_directory_empty(
    firkin: Command, layers: tuple[Path, Path], tmp_path: Path, key: str
) -> None:
    rootfs = tmp_path / "rootfs"
    rootfs.mkdir(mode=0o751)
    wrong = _digest(b"something else")
    done = firkin.run("layer", "apply", str(rootfs), str(layers[0]), f"{layers[1]},{key}={wrong}")
    assert done.code == 1
    assert wrong in done.error()
    assert list(rootfs.iterdir()) == []
    assert rootfs.stat().st_mode & 0o7777 == 0o751


def test_a_layer_that_reaches_out_is_refused(firkin: Command, tmp_path: Path) -> None:
    (tmp_path / "evil.tar").write_bytes(_tar({"a": b"", "../outside": b"escaped"}))
    done = firkin.run("layer", "apply", str(tmp_path / "rootfs"), str(tmp_path / "evil.tar"))
    assert done.code == 1
    assert "../outside" in done.error()
    assert not (tmp_path / "outside").exists()
    assert not (tmp_path / "rootfs").exists()


def test_a_directory_that_is_not_empty_is_refused(firkin: Command, layers: tuple[Path, Path], tmp_path: Path) -> None:
    done = firkin.run("layer", "apply", str(tmp_path), str(layers[0]))
    assert done.code == 1
    assert "is not empty" in done.error()
    assert layers[0].exists()


def test_a_missing_layer_is_told_before_anything_is_written(firkin: Command, tmp_path: Path) -> None:
    done = firkin.run("layer", "apply", str(tmp_path / "rootfs"), str(tmp_path / "none.tar"))
    assert (done.code, done.error()) == (125, f"{tmp_path}/none.tar: No such file or directory")
    assert not (tmp_path / "rootfs").exists()


@pytest.mark.parametrize("suffix", ["digest=sha256:short", "colour=red", "digest="])
def test_a_layer_that_is_described_wrongly_is_a_usage_error(firkin: Command, tmp_path: Path, suffix: str) -> None:
    done = firkin.run("layer", "apply", str(tmp_path / "rootfs"), f"layer.tar,{suffix}")
    assert done.code == 2
    assert "Invalid value for 'LAYER...'" in done.stderr


@pytest.mark.parametrize("limit", ["entries=1", "name-bytes=6", "depth=1", "tar-bytes=1KiB"])
def test_a_layer_beyond_a_limit_that_was_given_is_refused(
    firkin: Command, layers: tuple[Path, Path], tmp_path: Path, limit: str
) -> None:
    done = firkin.run("layer", "apply", "--limit", limit, str(tmp_path / "rootfs"), str(layers[0]))
    assert done.code == 1
    assert limit.partition("=")[2].removesuffix("KiB") in done.error()
    assert not (tmp_path / "rootfs").exists()


def test_every_limit_of_the_engine_can_be_given() -> None:
    assert tuple(name.replace("-", "_") for name in LAYER_LIMITS) == LayerLimits._fields


@pytest.mark.parametrize("limit", ["entries", "colour=1", "entries=0", "entries=many", "tar-bytes=-1"])
def test_a_limit_that_is_none_is_a_usage_error(firkin: Command, tmp_path: Path, limit: str) -> None:
    done = firkin.run("layer", "apply", "--limit", limit, str(tmp_path / "rootfs"), "layer.tar")
    assert done.code == 2
    assert "Invalid value for '--limit'" in done.stderr
