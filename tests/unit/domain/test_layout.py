from __future__ import annotations

import pytest

from firkin.domain.digest import Digest
from firkin.domain.guest_path import GuestPath, checked_relative_path
from firkin.domain.ids import ContainerId, PodId, VolumeName
from firkin.domain.layout import StoreLayout, container_bundle
from firkin.errors import InvalidGuestPath, InvalidRelativePath

POD = PodId("pod-1")


def test_empty_dir_file_path_accepts_normal_relative_paths() -> None:
    path = StoreLayout().empty_dir_file(POD, VolumeName("db"), "requests/slot-1")
    assert path == "/run/firkin/pod-store/pods/pod-1/emptydir/db/requests/slot-1"


@pytest.mark.parametrize("relative_path", ["", "/request", "../request", "request/../slot", "request//slot"])
def test_empty_dir_file_path_rejects_escaping_paths(relative_path: str) -> None:
    with pytest.raises(InvalidRelativePath) as raised:
        StoreLayout().empty_dir_file(POD, VolumeName("db"), relative_path)
    assert raised.value.path == relative_path
    assert "relative path" in str(raised.value)


def test_templates_belong_to_the_store_and_not_to_a_pod() -> None:
    chain_id = Digest.of(b"layers")
    layout = StoreLayout()
    assert layout.template(chain_id) == f"/run/firkin/pod-store/templates/sha256-{chain_id.hex}"
    assert layout.template_rootfs(chain_id) == f"{layout.template(chain_id)}/rootfs"


def test_a_container_has_an_overlay_of_its_own_in_its_pod() -> None:
    overlay = StoreLayout().overlay(POD, ContainerId("web"))
    base = "/run/firkin/pod-store/pods/pod-1/containers/web"
    assert (overlay.upper, overlay.work, overlay.merged) == (f"{base}/upper", f"{base}/work", f"{base}/merged")


def test_a_store_may_be_mounted_elsewhere() -> None:
    assert StoreLayout(GuestPath("/mnt/store")).pod(POD) == "/mnt/store/pods/pod-1"


def test_bundles_lie_beside_the_store() -> None:
    assert container_bundle(ContainerId("web")) == "/run/container/web"


@pytest.mark.parametrize("path", ["", "/", "a", "/a/", "/a/../b", "/a\0", "/\udcff"])
def test_a_bad_guest_path_is_refused(path: str) -> None:
    with pytest.raises(InvalidGuestPath) as raised:
        GuestPath(path)
    assert raised.value.path == path


def test_a_guest_path_goes_down_only() -> None:
    path = GuestPath("/a")
    assert path.below("b/c") == "/a/b/c"
    for outside in ("..", "/etc", "b/../..", "\udcff"):
        with pytest.raises(InvalidRelativePath):
            path.below(outside)


def test_a_relative_path_is_returned_as_it_is() -> None:
    assert checked_relative_path("requests/slot-1") == "requests/slot-1"
