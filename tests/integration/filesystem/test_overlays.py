"""Overlays of containers over a template."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from firkin.domain.errors import AgentError, StoreFull
from firkin.domain.guest_path import GuestPath
from firkin.vminitd.filesystem.mounts import is_mount_point, mount, mounts_below
from firkin.vminitd.filesystem.overlays import prepare_overlay, remove_overlay

from .private_mounts import in_private_mounts


def template_and_base(tmp_path: Path) -> tuple[GuestPath, GuestPath]:
    """A store with a template, and the place of a container's overlay, with characters overlayfs splits at."""
    store = tmp_path / "store:with,odd\\name"
    mount("tmpfs", "tmpfs", str(store), ["size=4m"])
    lower = store / "templates" / "rootfs"
    lower.mkdir(parents=True)
    (lower / "file").write_text("template")
    os.chown(lower, 7, 8)
    os.chmod(lower, 0o1751)
    return GuestPath(str(lower)), GuestPath(str(store / "pods" / "pod" / "containers" / "one"))


@in_private_mounts
def test_writes_go_to_the_upper_directory_and_the_template_stays(tmp_path: Path) -> None:
    lower, base = template_and_base(tmp_path)
    prepare_overlay(base, lower)
    merged = Path(base) / "merged"
    assert is_mount_point(str(merged))
    assert (merged / "file").read_text() == "template"
    (merged / "file").write_text("changed")
    assert (Path(base) / "upper" / "file").read_text() == "changed"
    assert (Path(lower) / "file").read_text() == "template"
    assert remove_overlay(base) == []
    assert not os.path.exists(base)
    assert os.listdir(Path(base).parent) == []


@in_private_mounts
def test_the_root_of_an_overlay_has_the_attributes_of_the_template(tmp_path: Path) -> None:
    lower, base = template_and_base(tmp_path)
    prepare_overlay(base, lower)
    status = (Path(base) / "merged").stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (7, 8, 0o1751)


@in_private_mounts
def test_what_an_earlier_container_left_is_not_seen_again(tmp_path: Path) -> None:
    lower, base = template_and_base(tmp_path)
    upper = Path(base) / "upper"
    upper.mkdir(parents=True)
    (upper / "stale").write_text("old")
    prepare_overlay(base, lower)
    assert os.listdir(Path(base) / "merged") == ["file"]


@in_private_mounts
def test_a_second_overlay_on_the_same_base_is_refused_and_the_first_stays(tmp_path: Path) -> None:
    lower, base = template_and_base(tmp_path)
    prepare_overlay(base, lower)
    with pytest.raises(AgentError) as caught:
        prepare_overlay(base, lower)
    assert caught.value.errno == errno.EBUSY
    assert mounts_below(base) == [f"{base}/merged"]


@in_private_mounts
def test_a_missing_template_leaves_nothing_behind(tmp_path: Path) -> None:
    lower, base = template_and_base(tmp_path)
    with pytest.raises(AgentError) as caught:
        prepare_overlay(base, GuestPath(f"{lower}-missing"))
    assert (caught.value.errno, caught.value.path) == (errno.ENOENT, f"{lower}-missing")
    assert not os.path.exists(base)


@in_private_mounts
def test_a_store_that_cannot_hold_overlays_says_so_and_keeps_nothing(tmp_path: Path) -> None:
    lower, base = template_and_base(tmp_path)
    prepare_overlay(base, lower)
    nested = GuestPath(f"{base}/merged/nested")
    with pytest.raises(AgentError, match="cannot hold what an overlay writes"):
        prepare_overlay(nested, lower)
    assert not os.path.exists(nested)


@in_private_mounts
def test_a_full_store_is_store_full_and_leaves_nothing_behind(tmp_path: Path) -> None:
    lower, base = template_and_base(tmp_path)
    store = Path(lower).parents[1]
    mount("tmpfs", "tmpfs", str(store / "small"), ["nr_inodes=4"])
    base = GuestPath(str(store / "small" / "one"))
    with pytest.raises(StoreFull):
        prepare_overlay(base, lower)
    assert os.listdir(store / "small") == []


@in_private_mounts
def test_removing_is_idempotent(tmp_path: Path) -> None:
    lower, base = template_and_base(tmp_path)
    assert remove_overlay(base) == []
    prepare_overlay(base, lower)
    assert remove_overlay(base) == []
    assert remove_overlay(base) == []


@in_private_mounts
def test_a_mount_inside_the_overlay_is_unmounted_and_what_it_shows_is_kept(tmp_path: Path) -> None:
    lower, base = template_and_base(tmp_path)
    (tmp_path / "volume").mkdir()
    (tmp_path / "volume" / "canary").write_text("kept")
    prepare_overlay(base, lower)
    mount("bind", str(tmp_path / "volume"), f"{base}/merged/volume", ["bind"])
    assert remove_overlay(base) == []
    assert (tmp_path / "volume" / "canary").read_text() == "kept"


@in_private_mounts
def test_an_overlay_in_use_is_detached_and_that_is_reported(tmp_path: Path) -> None:
    lower, base = template_and_base(tmp_path)
    prepare_overlay(base, lower)
    with open(f"{base}/merged/held", "wb"):
        (problem,) = remove_overlay(base)
    assert "still in use" in problem
    assert "detached" in problem
    assert not os.path.exists(base)
    assert (Path(lower) / "file").read_text() == "template"


@in_private_mounts
def test_many_containers_share_one_template(tmp_path: Path) -> None:
    lower, base = template_and_base(tmp_path)
    bases = [GuestPath(f"{base}-{number}") for number in range(16)]
    for number, each in enumerate(bases):
        prepare_overlay(each, lower)
        Path(each, "merged", "mine").write_text(str(number))
    assert [Path(each, "merged", "mine").read_text() for each in bases] == [str(number) for number in range(16)]
    assert [problem for each in bases for problem in remove_overlay(each)] == []
