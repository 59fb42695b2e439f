"""Templates as stacks of layers: applied beside each other, shared by chain id, and shown by the kernel as one."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from firkin.domain.digest import Digest, chain_ids
from firkin.domain.errors import AgentError, BlobCorrupt, LayerRefused
from firkin.domain.guest_path import GuestPath
from firkin.domain.ids import PodId
from firkin.domain.layout import StoreLayout
from firkin.domain.mounts import Mount
from firkin.vminitd.filesystem.mounts import mount, mounts_below
from firkin.vminitd.filesystem.overlays import prepare_overlay, remove_overlay
from firkin.vminitd.filesystem.store import prepare_pod, tear_down_pod
from firkin.vminitd.layers.stacks import STACKED_AT_MOST, TemplateStack
from firkin.vminitd.layers.templates import TemplateBuilder, TemplateLayer
from tests.integration.filesystem.private_mounts import in_private_mounts
from tests.integration.filesystem.programs import run_program

from .archives import archive, directory, file, hard_link, symlink

BASE = archive(directory("etc"), file("etc/old"), file("etc/name", b"base"), directory("usr"), directory("usr/bin"))
MIDDLE = archive(directory("etc"), file("etc/name", b"middle"), file("etc/.wh.old", b""))
TOP = archive(file("etc/top", b"top"), file("usr/bin/tool", b"tool"))
OTHER = archive(file("other", b"other"))
MARKS = {".complete", ".stack"}


class Source:
    """Gives layers' bytes, and notes which were asked for."""

    def __init__(self, tars: Sequence[bytes]) -> None:
        self.tars = list(tars)
        self.opened: list[int] = []

    @contextlib.contextmanager
    def __call__(self, index: int) -> Iterator[io.BytesIO]:
        self.opened.append(index)
        yield io.BytesIO(self.tars[index])


def layers(tars: Sequence[bytes]) -> list[TemplateLayer]:
    media_type = "application/vnd.oci.image.layer.v1.tar"
    return [TemplateLayer(Digest.of(tar), Digest.of(tar), media_type, len(tar)) for tar in tars]


def chain(*tars: bytes) -> tuple[Digest, ...]:
    return chain_ids([Digest.of(tar) for tar in tars])


def built(store: Path, *tars: bytes) -> tuple[Path, list[int]]:
    """The rootfs of the template, and which layers were read for it."""
    source = Source(tars)
    chain_id = chain(*tars)[-1]
    with TemplateStack(str(store), chain_id, layers(tars)) as stack:
        if not stack.exists():
            stack.build(source, lambda: None)
            assert stack.commit()
    return Path(StoreLayout(GuestPath(str(store))).template_rootfs(chain_id)), sorted(source.opened)


def kinds(store: Path, *tars: bytes) -> list[str]:
    """What the template of each layer consists of, the lowest first; "" for none."""
    layout = StoreLayout(GuestPath(str(store)))
    found = []
    for chain_id in chain(*tars):
        path = Path(layout.template(chain_id))
        found.append(" ".join(sorted({each.name for each in path.iterdir()} - MARKS)) if path.exists() else "")
    return found


@contextlib.contextmanager
def shown(store: Path, rootfs: Path) -> Iterator[Path]:
    """The overlay of a container."""
    base = GuestPath(str(store / "pods" / "pod" / "containers" / "one"))
    prepare_overlay(base, GuestPath(str(rootfs)))
    try:
        yield Path(base, "merged")
    finally:
        assert remove_overlay(base) == []


def prepared(tmp_path: Path) -> Path:
    store = tmp_path / "store"
    prepare_pod(PodId("pod"), Mount(str(store), "tmpfs", "tmpfs", ()), (), run_program)
    return store


@in_private_mounts
def test_an_image_of_several_layers_is_a_stack_that_containers_see_as_one(tmp_path: Path) -> None:
    store = prepared(tmp_path)
    rootfs, _ = built(store, BASE, MIDDLE, TOP)
    assert kinds(store, BASE, MIDDLE, TOP) == ["rootfs", "diff", "diff"]
    with shown(store, rootfs) as merged:
        assert sorted(os.listdir(merged / "etc")) == ["name", "top"]
        assert (merged / "etc/name").read_bytes() == b"middle"
        assert (merged / "usr/bin/tool").read_bytes() == b"tool"
        (merged / "etc/name").write_bytes(b"container")
    assert tear_down_pod(PodId("pod"), GuestPath(str(store)), ()) == []
    assert mounts_below(str(store)) == []


def test_in_a_user_namespace_they_are_the_same(tmp_path: Path) -> None:
    """Linux lets users make whiteouts since 5.8, and stacks with marks of the class `user` since 5.11."""
    tests = [
        test_an_image_of_several_layers_is_a_stack_that_containers_see_as_one,
        test_images_that_share_a_base_share_it_on_the_store,
        test_a_layer_may_lean_on_what_it_does_not_bring,
        test_a_layer_that_hides_everything_below_it_is_where_the_stack_ends,
    ]
    command = ["unshare", "--user", "--map-root-user", "--mount", sys.executable, "-m", "pytest", "-q"]
    command += ["-p", "no:cacheprovider", "--basetemp", str(tmp_path / "inside")]
    command += [f"{__file__}::{test.__name__}" for test in tests]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(tests)} passed" in done.stdout


@in_private_mounts
def test_images_that_share_a_base_share_it_on_the_store(tmp_path: Path) -> None:
    store = prepared(tmp_path)
    _, first = built(store, BASE, MIDDLE, TOP)
    rootfs, second = built(store, BASE, MIDDLE, OTHER)
    _, base_alone = built(store, BASE)
    assert (first, second, base_alone) == ([0, 1, 2], [2], [])
    inode = (store / "templates" / f"sha256-{chain(BASE)[0].hex}" / "rootfs/etc/name").stat().st_ino
    with shown(store, rootfs) as merged:
        assert (merged / "usr").is_dir()
        assert sorted(os.listdir(merged)) == ["etc", "other", "usr"]
    assert (store / "templates" / f"sha256-{chain(BASE)[0].hex}" / "rootfs/etc/name").stat().st_ino == inode


@in_private_mounts
def test_nothing_of_a_stack_can_be_written(tmp_path: Path) -> None:
    store = prepared(tmp_path)
    built(store, BASE, MIDDLE)
    for template in (store / "templates").iterdir():
        (content,) = [each for each in template.iterdir() if each.name not in MARKS]
        with pytest.raises(OSError, match="Read-only"):
            (content / "new").write_bytes(b"")


@in_private_mounts
def test_a_layer_that_was_removed_is_made_again_and_the_others_are_not(tmp_path: Path) -> None:
    store = prepared(tmp_path)
    built(store, BASE, MIDDLE, TOP)
    middle = store / "templates" / f"sha256-{chain(BASE, MIDDLE)[1].hex}"
    mounted = mounts_below(str(middle))
    for point in mounted:
        os.system(f"umount {point}")
    os.system(f"rm -r {middle}")
    base = GuestPath(str(store / "pods/pod/containers/one"))
    rootfs = store / "templates" / f"sha256-{chain(BASE, MIDDLE, TOP)[2].hex}" / "rootfs"
    with pytest.raises(AgentError, match="a layer of it is missing"):
        prepare_overlay(base, GuestPath(str(rootfs)))
    source = Source([BASE, MIDDLE, TOP])
    with TemplateStack(str(store), chain(BASE, MIDDLE, TOP)[2], layers(source.tars)) as stack:
        assert not stack.exists()
        stack.build(source, lambda: None)
        stack.commit()
    assert source.opened == [1]
    with shown(store, rootfs) as merged:
        assert (merged / "etc/name").read_bytes() == b"middle"


@in_private_mounts
def test_a_layer_may_lean_on_what_it_does_not_bring(tmp_path: Path) -> None:
    store = prepared(tmp_path)
    lower = archive(symlink("bin", "usr/bin"))
    upper = archive(file("bin/other", b"other"))
    linking = archive(hard_link("tool", "usr/bin/tool"))
    rootfs, _ = built(store, BASE, lower, TOP, upper, linking)
    with shown(store, rootfs) as merged:
        assert (merged / "bin").is_symlink()
        assert sorted(os.listdir(merged / "usr/bin")) == ["other", "tool"]
        assert (merged / "tool").read_bytes() == b"tool"


@in_private_mounts
def test_a_layer_that_hides_everything_below_it_is_where_the_stack_ends(tmp_path: Path) -> None:
    store = prepared(tmp_path)
    hiding = archive(file(".wh..wh..opq", b""), file("only", b"x"))
    rootfs, _ = built(store, BASE, hiding, OTHER)
    stack = store / "templates" / f"sha256-{chain(BASE, hiding)[1].hex}" / ".stack"
    assert stack.read_text() == ""
    with shown(store, rootfs) as merged:
        assert sorted(os.listdir(merged)) == ["only", "other"]


@in_private_mounts
def test_the_lower_layers_of_a_long_image_are_flattened(tmp_path: Path) -> None:
    store = prepared(tmp_path)
    tars = [archive(file(f"file-{number}"), file("last", str(number).encode())) for number in range(40)]
    rootfs, _ = built(store, *tars)
    found = kinds(store, *tars)
    assert found == [""] * (40 - STACKED_AT_MOST) + ["rootfs"] + ["diff"] * (STACKED_AT_MOST - 1)
    with shown(store, rootfs) as merged:
        assert len(os.listdir(merged)) == 41
        assert (merged / "last").read_text() == "39"


@in_private_mounts
def test_a_stack_whose_paths_exceed_the_options_of_a_mount_is_mounted_all_the_same(tmp_path: Path) -> None:
    store = prepared(tmp_path / ("long" * 50) / ("name" * 50))
    tars = [archive(file(f"file-{number}")) for number in range(STACKED_AT_MOST)]
    rootfs, _ = built(store, *tars)
    with shown(store, rootfs) as merged:
        assert len(os.listdir(merged)) == STACKED_AT_MOST


@in_private_mounts
def test_a_filesystem_without_the_attributes_of_overlays_gets_a_flat_template(tmp_path: Path) -> None:
    mount("ramfs", "ramfs", str(tmp_path / "store"), [])
    rootfs, _ = built(tmp_path / "store", BASE, MIDDLE, TOP)
    assert sorted(os.listdir(rootfs / "etc")) == ["name", "top"]
    assert len(os.listdir(tmp_path / "store/templates")) == 1


@in_private_mounts
def test_a_flat_template_of_another_agent_is_used_as_it_is(tmp_path: Path) -> None:
    store = prepared(tmp_path)
    with TemplateBuilder(str(store), chain(BASE, MIDDLE)[1]) as builder:
        for layer, tar in zip(layers([BASE, MIDDLE]), [BASE, MIDDLE], strict=True):
            builder.apply(layer, io.BytesIO(tar))
        assert builder.commit()
    rootfs, read = built(store, BASE, MIDDLE, TOP)
    assert read == [2]
    assert kinds(store, BASE, MIDDLE, TOP) == ["", "rootfs", "diff"]
    with shown(store, rootfs) as merged:
        assert sorted(os.listdir(merged / "etc")) == ["name", "top"]


@pytest.mark.parametrize("broken", [0, 1, 2])
def test_a_layer_that_fails_leaves_nothing_of_the_others(tmp_path: Path, broken: int) -> None:
    @in_private_mounts
    def test(store: Path) -> None:
        tars = [BASE, MIDDLE, TOP]
        described = layers(tars)
        source = Source(tars)
        source.tars[broken] = source.tars[broken][:700]
        with pytest.raises(BlobCorrupt), TemplateStack(str(store), chain(*tars)[2], described) as stack:
            stack.build(source, lambda: None)
        assert os.listdir(store / "templates") == []
        assert mounts_below(str(store)) == []

    test(tmp_path)


@in_private_mounts
def test_a_layer_is_refused_for_what_those_below_it_are(tmp_path: Path) -> None:
    below_a_file = archive(file("etc/name/below"))
    to_nothing = archive(hard_link("x", "etc/missing"))
    hidden = archive(hard_link("x", "etc/old"))
    for tars, reason in (
        ([BASE, below_a_file], "not a directory"),
        ([BASE, to_nothing], "does not exist"),
        ([BASE, MIDDLE, hidden], "does not exist"),
    ):
        with pytest.raises(LayerRefused, match=reason):
            built(tmp_path, *tars)
        assert os.listdir(tmp_path / "templates") == []


@in_private_mounts
def test_calling_a_layer_off_ends_those_that_wait_for_it(tmp_path: Path) -> None:
    called_off, waiting = threading.Event(), threading.Event()

    class Held(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            waiting.wait(30)
            called_off.wait(30)
            raise AgentError("read a stream of the host", "the call was cancelled", errno=errno.ECANCELED)

    class Leaning(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            waiting.set()
            return super().read(size)

    @contextlib.contextmanager
    def opened(index: int) -> Iterator[io.BytesIO]:
        yield Leaning(TOP) if index else Held()

    def call_off() -> None:
        waiting.wait(30)
        called_off.set()

    caller = threading.Thread(target=call_off)
    caller.start()
    with (
        pytest.raises(AgentError) as caught,
        TemplateStack(str(tmp_path), chain(BASE, TOP)[1], layers([BASE, TOP])) as stack,
    ):
        stack.build(opened, called_off.set)
    caller.join()
    assert caught.value.errno == errno.ECANCELED
    assert os.listdir(tmp_path / "templates") == []
    assert mounts_below(str(tmp_path)) == []
