"""Templates: whole or not there, shared, read-only."""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path

import pytest

from firkin.domain.digest import Digest
from firkin.domain.errors import DiffIdMismatch, StoreFull
from firkin.domain.guest_path import GuestPath
from firkin.domain.ids import PodId
from firkin.domain.mounts import Mount
from firkin.vminitd.filesystem.mounts import mount
from firkin.vminitd.filesystem.overlays import prepare_overlay, remove_overlay
from firkin.vminitd.filesystem.store import prepare_pod
from firkin.vminitd.layers.templates import TemplateBuilder, TemplateLayer
from tests.integration.filesystem.private_mounts import in_private_mounts
from tests.integration.filesystem.programs import run_program

from .archives import archive, directory, file

LOWER = archive(directory("etc"), file("etc/old"), file("etc/name", b"lower"))
UPPER = archive(file("etc/name", b"upper"), file("etc/.wh.old", b""))
CHAIN_ID = Digest.of(b"chain")


def layer(tar: bytes) -> TemplateLayer:
    return TemplateLayer(Digest.of(tar), Digest.of(tar), "application/vnd.oci.image.layer.v1.tar", len(tar))


def built(store: Path, chain_id: Digest = CHAIN_ID) -> Path:
    with TemplateBuilder(str(store), chain_id) as builder:
        assert not builder.exists()
        assert builder.apply(layer(LOWER), io.BytesIO(LOWER)).entries == 3
        assert builder.apply(layer(UPPER), io.BytesIO(UPPER)).entries == 2
        assert builder.commit()
    return store / "templates" / f"sha256-{chain_id.hex}" / "rootfs"


@in_private_mounts
def test_a_template_is_its_layers_in_order_and_cannot_be_written(tmp_path: Path) -> None:
    rootfs = built(tmp_path)
    assert os.listdir(rootfs / "etc") == ["name"]
    assert (rootfs / "etc" / "name").read_bytes() == b"upper"
    assert rootfs.stat().st_mode & 0o7777 == 0o755
    with pytest.raises(OSError, match="Read-only"):
        (rootfs / "etc" / "name").write_bytes(b"changed")
    assert os.listdir(tmp_path / "templates") == [f"sha256-{CHAIN_ID.hex}"]


@in_private_mounts
def test_a_template_that_exists_is_found_and_read_only_in_another_sandbox(tmp_path: Path) -> None:
    @in_private_mounts
    def in_another_sandbox(store: Path) -> None:
        built(store)

    in_another_sandbox(tmp_path)
    rootfs = tmp_path / "templates" / f"sha256-{CHAIN_ID.hex}" / "rootfs"
    (rootfs / "proof").write_bytes(b"writable here until it is used")
    with TemplateBuilder(str(tmp_path), CHAIN_ID) as builder:
        assert builder.exists()
        assert builder.exists()
    with pytest.raises(OSError, match="Read-only") as caught:
        (rootfs / "proof").unlink()
    assert caught.value.errno == errno.EROFS


@in_private_mounts
def test_a_template_serves_overlays(tmp_path: Path) -> None:
    store = tmp_path / "store"
    prepare_pod(PodId("pod"), Mount(str(store), "tmpfs", "tmpfs", ()), (), run_program)
    rootfs = built(store)
    base = GuestPath(str(store / "pods" / "pod" / "containers" / "one"))
    prepare_overlay(base, GuestPath(str(rootfs)))
    merged = Path(base, "merged")
    (merged / "etc" / "name").write_bytes(b"container")
    (merged / "etc" / "new").write_bytes(b"container")
    assert (rootfs / "etc" / "name").read_bytes() == b"upper"
    assert remove_overlay(base) == []


@in_private_mounts
def test_a_builder_that_fails_or_is_left_removes_what_it_wrote(tmp_path: Path) -> None:
    lying = TemplateLayer(Digest.of(UPPER), Digest.of(LOWER), "", len(UPPER))
    with pytest.raises(DiffIdMismatch), TemplateBuilder(str(tmp_path), CHAIN_ID) as builder:
        builder.apply(lying, io.BytesIO(UPPER))
    with TemplateBuilder(str(tmp_path), CHAIN_ID) as builder:
        builder.apply(layer(LOWER), io.BytesIO(LOWER))
    assert os.listdir(tmp_path / "templates") == []


@in_private_mounts
def test_of_two_builders_the_second_is_content(tmp_path: Path) -> None:
    with TemplateBuilder(str(tmp_path), CHAIN_ID) as slow:
        slow.apply(layer(LOWER), io.BytesIO(LOWER))
        rootfs = built(tmp_path)
        assert not slow.commit()
    assert (rootfs / "etc" / "name").read_bytes() == b"upper"
    assert os.listdir(tmp_path / "templates") == [f"sha256-{CHAIN_ID.hex}"]


@in_private_mounts
def test_a_pod_that_is_prepared_meanwhile_leaves_a_builder_alone(tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    with TemplateBuilder(str(store), CHAIN_ID) as builder:
        builder.apply(layer(LOWER), io.BytesIO(LOWER))
        mount("bind", str(store), str(store), ["bind"])
        prepare_pod(PodId("pod"), Mount(str(store), "bind", str(store), ("bind",)), (), run_program)
        assert builder.commit()


@in_private_mounts
def test_an_image_without_layers_has_an_empty_rootfs(tmp_path: Path) -> None:
    with TemplateBuilder(str(tmp_path), CHAIN_ID) as builder:
        assert builder.commit()
    assert os.listdir(tmp_path / "templates" / f"sha256-{CHAIN_ID.hex}" / "rootfs") == []


@in_private_mounts
def test_a_template_that_does_not_fit_leaves_the_store_as_it_was(tmp_path: Path) -> None:
    mount("tmpfs", "tmpfs", str(tmp_path / "store"), ["size=256k"])
    large = archive(file("large", bytes(2**20)))
    with pytest.raises(StoreFull), TemplateBuilder(str(tmp_path / "store"), CHAIN_ID) as builder:
        builder.apply(layer(large), io.BytesIO(large))
    assert os.listdir(tmp_path / "store" / "templates") == []


@in_private_mounts
def test_a_template_without_its_mark_was_left_half_made_and_is_made_anew(tmp_path: Path) -> None:
    half_made = tmp_path / "templates" / f"sha256-{CHAIN_ID.hex}" / "rootfs"
    (half_made / "leftover").mkdir(parents=True)
    rootfs = built(tmp_path)
    assert os.listdir(rootfs) == ["etc"]
    assert (rootfs.parent / ".complete").exists()
