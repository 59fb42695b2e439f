from __future__ import annotations

import pytest

from firkin import Mount
from firkin.domain.mounts import normalised_destination


def test_a_bind_brings_what_is_mounted_below_it() -> None:
    assert Mount.bind("/run/x", "/x") == Mount("/x", "bind", "/run/x", ("rbind", "rw"))


def test_a_read_only_bind_is_so_all_the_way_down() -> None:
    assert Mount.bind("/run/x", "/x").read_only().options == ("rbind", "ro", "rro")
    assert Mount.bind("/run/x", "/x").read_only().read_only().options == ("rbind", "ro", "rro")


def test_a_read_only_tmpfs_has_no_recursive_option() -> None:
    assert Mount.tmpfs("/t", "size=1m").read_only().options == ("size=1m", "ro")


def test_an_option_is_added_once() -> None:
    mount = Mount.tmpfs("/t", "nosuid").option("nosuid", "nodev")
    assert mount.options == ("nosuid", "nodev")


@pytest.mark.parametrize("mount", [Mount.sysfs(), Mount.cgroup()])
def test_kernel_state_is_mounted_read_only(mount: Mount) -> None:
    assert {"ro", "nosuid", "noexec", "nodev"} <= set(mount.options)


@pytest.mark.parametrize(
    ("destination", "normalised"),
    [("/a", "/a"), ("/a/", "/a"), ("//a/./b", "/a/b"), ("/", "/"), ("a/", "a"), ("/a/../b", "/a/../b")],
)
def test_destinations_lose_what_means_nothing(destination: str, normalised: str) -> None:
    assert normalised_destination(destination) == normalised
