from __future__ import annotations

import pytest

from firkin.domain.digest import Digest
from firkin.domain.errors import InvalidReference
from firkin.domain.image_names import full_docker_name, image_name, path_readings, plain_docker_name, split_digest


def test_a_path_with_colons_has_several_readings_the_longest_first() -> None:
    assert list(path_readings("a:b:c")) == [("a:b:c", None), ("a:b", "c"), ("a", "b:c")]
    assert list(path_readings(":x")) == [(":x", None)]


@pytest.mark.parametrize(
    ("short", "full"),
    [
        ("busybox", "docker.io/library/busybox:latest"),
        ("busybox:1", "docker.io/library/busybox:1"),
        ("team/app", "docker.io/team/app:latest"),
        ("docker.io/busybox", "docker.io/library/busybox:latest"),
        ("index.docker.io/team/app:2", "docker.io/team/app:2"),
        ("localhost/app", "localhost/app:latest"),
        ("localhost:5000/app", "localhost:5000/app:latest"),
        ("example.org/a/b:1", "example.org/a/b:1"),
        ("app@sha256:0", "docker.io/library/app@sha256:0"),
    ],
)
def test_short_names_mean_what_docker_means(short: str, full: str) -> None:
    assert full_docker_name(short) == full
    assert full_docker_name(full) == full
    assert full_docker_name(plain_docker_name(full)) == full


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
