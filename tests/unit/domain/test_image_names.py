from __future__ import annotations

import pytest

from firkin.domain.digest import Digest
from firkin.domain.errors import ImageNotFound, InvalidReference
from firkin.domain.image_names import (
    DockerName,
    image_name,
    kept_name,
    path_readings,
    shown_docker_name,
    split_digest,
)


def test_a_path_with_colons_has_several_readings_the_longest_first() -> None:
    assert list(path_readings("a:b:c")) == [("a:b:c", None), ("a:b", "c"), ("a", "b:c")]
    assert list(path_readings(":x")) == [(":x", None)]


@pytest.mark.parametrize(
    ("short", "full"),
    [
        ("busybox", "example.org/library/busybox:latest"),
        ("busybox:1", "example.org/library/busybox:1"),
        ("library/busybox", "busybox:latest"),
        ("team/app", "example.org/team/app:latest"),
        ("localhost:5000/app", "localhost:5000/app:latest"),
        ("example.org/a/b:1", "a/b:1"),
        ("app@sha256:0", "example.org/library/app@sha256:0"),
    ],
)
def test_a_short_name_is_that_of_any_host(short: str, full: str) -> None:
    assert DockerName.parse(short).means(DockerName.parse(full))
    assert DockerName.parse(full).means(DockerName.parse(short))
    assert DockerName.parse(shown_docker_name(full)).means(DockerName.parse(full))


@pytest.mark.parametrize(
    ("one", "other"),
    [("a", "b"), ("a:1", "a:2"), ("one.example/a", "two.example/a"), ("team/a", "a"), ("localhost/a", "x.example/a")],
)
def test_other_names_are_of_other_images(one: str, other: str) -> None:
    assert not DockerName.parse(one).means(DockerName.parse(other))


@pytest.mark.parametrize("name", ["a", "A1", "a.b-c_d:e+f/g--h:1", "a" * 255, "localhost:5000/x:1"])
def test_what_skopeo_takes_for_a_name_is_one(name: str) -> None:
    assert image_name(name) == name


def test_a_digest_may_follow_a_name() -> None:
    digest = Digest.of(b"")
    assert split_digest("a/b:c", "r") == ("a/b:c", None)
    assert split_digest(f"a@{digest}", "r") == ("a", digest)
    for wrong in ("", "a@", f"@{digest}", "a@sha256:0", f"a@{digest}@{digest}"):
        with pytest.raises(InvalidReference):
            split_digest(wrong, "r")


def test_a_kept_name_is_exact_or_latest_or_the_only_one_it_is_short_for() -> None:
    names = ("a", "a:latest", "b:latest", "one.example/c:1", "one.example/d:1", "two.example/d:1", "d:2")
    for short, meant in (("a", "a"), ("b", "b:latest"), ("c:1", "one.example/c:1"), ("one.example/c:1",) * 2):
        assert kept_name(short, "r", names) == meant
    for wrong in ("c", "d:1", "three.example/c:1", "e"):
        with pytest.raises(ImageNotFound):
            kept_name(wrong, "r", names)
