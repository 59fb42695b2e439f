"""One file over both twins of the path rules."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Protocol

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import firkin._fast
from firkin._fast import _paths_py, paths


class PathRules(Protocol):
    """What both twins have."""

    def id_problem(self, value: bytes, /) -> str | None: ...
    def id_problems(self, values: list[bytes], /) -> list[str | None]: ...
    def guest_path_problem(self, path: bytes, /) -> str | None: ...
    def relative_path_problem(self, path: bytes, /) -> str | None: ...
    def clean_member_name(self, name: bytes, /) -> bytes: ...


TWINS: dict[str, PathRules] = {"python": _paths_py, "compiled": paths}


@pytest.fixture(params=TWINS)
def rules(request: pytest.FixtureRequest) -> PathRules:
    return TWINS[str(request.param)]


# Mostly what the rules are about, and now and then any byte at all.
path_bytes = st.one_of(
    st.lists(st.sampled_from([b"/", b"//", b".", b"..", b"a", b"bc", b"...", b".a", b"\xff"]), max_size=12).map(
        b"".join
    ),
    st.binary(max_size=24),
    # As long as names of files are, and longer.
    st.lists(st.sampled_from([b"/usr", b"/share", b"/x86_64-linux-gnu", b"/.", b"/..", b"/", b"\0"]), max_size=30).map(
        b"".join
    ),
)


def refusal(rules: PathRules, name: bytes) -> bytes | str:
    """The cleaned name, or the sentence why there is none."""
    try:
        return rules.clean_member_name(name)
    except ValueError as error:
        return str(error)


def test_the_extension_is_the_one_loaded_unless_pure_python_was_asked_for() -> None:
    expected = "firkin._fast._paths_py" if firkin._fast.PURE_PYTHON else "firkin._fast.paths"
    assert firkin._fast.id_problem.__module__ == expected


def test_pure_python_is_chosen_by_the_environment() -> None:
    code = "import firkin._fast as fast; print(fast.PURE_PYTHON, fast.id_problem.__module__)"
    environment = {**os.environ, "FIRKIN_PURE_PYTHON": "1"}
    output = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert output.stdout.split() == ["True", "firkin._fast._paths_py"]


def test_a_missing_extension_says_how_to_build() -> None:
    code = (
        "import sys; sys.modules['firkin._fast.paths'] = None\n"
        "try:\n    import firkin._fast\n"
        "except ModuleNotFoundError as error:\n    print(error)"
    )
    environment = {name: value for name, value in os.environ.items() if name != "FIRKIN_PURE_PYTHON"}
    output = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert "run `pip install .`" in output.stdout


def test_no_kernel_mentions_the_package() -> None:
    folder = Path(firkin._fast.__file__).parent
    kernels = [path for path in folder.iterdir() if path.suffix in (".pyx", ".pxd")]
    assert kernels
    for kernel in kernels:
        assert re.search(r"\bfirkin\.", kernel.read_text()) is None, kernel.name


@pytest.mark.parametrize("value", [b"a", b"7", b"pod-1", b"A_b.c-d", b"x" * 64])
def test_a_good_id_passes(rules: PathRules, value: bytes) -> None:
    assert rules.id_problem(value) is None


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (b"", "it is empty"),
        (b"x" * 65, "it is longer than 64 characters"),
        (b".", "its first character is not a letter or digit"),
        (b"..", "its first character is not a letter or digit"),
        (b"-a", "its first character is not a letter or digit"),
        (b"_a", "its first character is not a letter or digit"),
        (b"a/b", "it has a character other than letters, digits, '_', '.' and '-'"),
        (b"a b", "it has a character other than letters, digits, '_', '.' and '-'"),
        (b"a\n", "it has a character other than letters, digits, '_', '.' and '-'"),
        (b"a\0", "it has a character other than letters, digits, '_', '.' and '-'"),
        ("ä".encode(), "it has a character other than letters, digits, '_', '.' and '-'"),
    ],
)
def test_a_bad_id_is_told_why(rules: PathRules, value: bytes, problem: str) -> None:
    assert rules.id_problem(value) == problem


@pytest.mark.parametrize("path", [b"/a", b"/a/b", b"/...", b"/.a/b.", b"/a b", b"/\xff"])
def test_a_good_guest_path_passes(rules: PathRules, path: bytes) -> None:
    assert rules.guest_path_problem(path) is None


NOT_NORMALISED = "it is not normalised: it has an empty, '.' or '..' component"


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        (b"", "it is empty"),
        (b"/", "it is the root directory"),
        (b"a", "it is not absolute"),
        (b"\0", "it contains NUL"),
        (b"/a\0", "it contains NUL"),
        (b"//", NOT_NORMALISED),
        (b"/a/", NOT_NORMALISED),
        (b"//a", NOT_NORMALISED),
        (b"/.", NOT_NORMALISED),
        (b"/..", NOT_NORMALISED),
        (b"/a/./b", NOT_NORMALISED),
        (b"/a/../b", NOT_NORMALISED),
    ],
)
def test_a_bad_guest_path_is_told_why(rules: PathRules, path: bytes, problem: str) -> None:
    assert rules.guest_path_problem(path) == problem


@pytest.mark.parametrize("path", [b"a", b"requests/slot-1", b"...", b".hidden"])
def test_a_good_relative_path_passes(rules: PathRules, path: bytes) -> None:
    assert rules.relative_path_problem(path) is None


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        (b"", "it is empty"),
        (b"/request", "it is not relative"),
        (b"/", "it is not relative"),
        (b"a\0b", "it contains NUL"),
        (b".", NOT_NORMALISED),
        (b"..", NOT_NORMALISED),
        (b"../request", NOT_NORMALISED),
        (b"request/../slot", NOT_NORMALISED),
        (b"request//slot", NOT_NORMALISED),
        (b"request/", NOT_NORMALISED),
    ],
)
def test_a_bad_relative_path_is_told_why(rules: PathRules, path: bytes, problem: str) -> None:
    assert rules.relative_path_problem(path) == problem


@pytest.mark.parametrize(
    ("name", "cleaned"),
    [
        (b"a", b"a"),
        (b"./a/b", b"a/b"),
        (b"/etc/passwd", b"etc/passwd"),
        (b"//a///b//", b"a/b"),
        (b"a/../b", b"b"),
        (b"a/b/../../c", b"c"),
        (b"a/..", b""),
        (b".", b""),
        (b"/", b""),
        (b"./", b""),
        (b"..a/.b", b"..a/.b"),
        (b"\xff\xfe/x", b"\xff\xfe/x"),
    ],
)
def test_a_member_name_is_rewritten_inside_the_rootfs(rules: PathRules, name: bytes, cleaned: bytes) -> None:
    assert rules.clean_member_name(name) == cleaned


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        (b"", "its name is empty"),
        (b"a\0b", "its name contains NUL"),
        (b"..", "its name climbs above the rootfs with '..'"),
        (b"/..", "its name climbs above the rootfs with '..'"),
        (b"a/../../b", "its name climbs above the rootfs with '..'"),
    ],
)
def test_a_member_name_that_leaves_the_rootfs_is_refused(rules: PathRules, name: bytes, problem: str) -> None:
    with pytest.raises(ValueError, match=re.escape(problem)):
        rules.clean_member_name(name)


@given(path_bytes)
@example(b"/")
@example(b"a/../../")
def test_both_twins_say_the_same(value: bytes) -> None:
    assert paths.id_problem(value) == _paths_py.id_problem(value)
    assert paths.guest_path_problem(value) == _paths_py.guest_path_problem(value)
    assert paths.relative_path_problem(value) == _paths_py.relative_path_problem(value)
    assert refusal(paths, value) == refusal(_paths_py, value)


def test_the_twins_agree_wherever_a_byte_that_no_id_has_stands() -> None:
    """The compiled rule reads sixteen bytes at a time, with what stands before a shorter one."""
    for size in range(1, 66):
        for at in range(size):
            for odd in (b"/", b"\0", b"-", b"[", b"`", b"{", b"@", b":", b"\x7f", b"\xff", b"Z"):
                value = b"a" * at + odd + b"9" * (size - at - 1)
                assert paths.id_problem(value) == _paths_py.id_problem(value)


@given(st.lists(path_bytes, max_size=20))
def test_many_ids_are_checked_as_each_alone(values: list[bytes]) -> None:
    alone = [_paths_py.id_problem(value) for value in values]
    assert paths.id_problems(values) == _paths_py.id_problems(values) == alone


def test_among_many_ids_all_have_to_be_bytes(rules: PathRules) -> None:
    values: list[Any] = [b"a", 5]
    with pytest.raises(TypeError):
        rules.id_problems(values)


@pytest.mark.parametrize("name", TWINS)
@given(data=path_bytes)
def test_a_cleaned_name_is_clean_and_stays_so(name: str, data: bytes) -> None:
    rules = TWINS[name]
    try:
        cleaned = rules.clean_member_name(data)
    except ValueError:
        return
    assert cleaned == b"" or rules.relative_path_problem(cleaned) is None
    assert cleaned == b"" or rules.clean_member_name(cleaned) == cleaned
    # Where `..` takes nothing back, the text that is left is that of the components.
    if b".." not in data.split(b"/"):
        assert cleaned.split(b"/") == [part for part in data.split(b"/") if part not in (b"", b".")] or cleaned == b""


@pytest.mark.parametrize("name", TWINS)
@given(data=path_bytes)
def test_a_guest_path_is_a_slash_and_a_relative_path(name: str, data: bytes) -> None:
    rules = TWINS[name]
    assert (rules.guest_path_problem(b"/" + data) is None) == (rules.relative_path_problem(data) is None)


@pytest.mark.parametrize("odd", [b"//", b"/.", b"/./", b"/../", b"/...", b"\0", b"/", b".", b"\xaf", b"\xae/"])
def test_the_twins_agree_wherever_something_odd_stands(odd: bytes) -> None:
    """The compiled rules read eight bytes at a time, or sixteen, and look at up to eighty in windows that overlap."""
    for size in (*range(36), *range(60, 68), *range(76, 84), 100):
        for at in range(size + 1):
            path = b"a" * at + odd + b"b" * (size - at)
            assert refusal(paths, path) == refusal(_paths_py, path)
            assert refusal(paths, b"./" + path) == refusal(_paths_py, b"./" + path)
            assert paths.relative_path_problem(path) == _paths_py.relative_path_problem(path)
            assert paths.guest_path_problem(b"/" + path) == _paths_py.guest_path_problem(b"/" + path)


def test_a_name_keeps_every_byte_whatever_its_size(rules: PathRules) -> None:
    for size in range(1, 300):
        name = bytes(0x80 + at % 0x7F for at in range(size))
        for before in (b"", b"/", b"./", b".//"):
            assert rules.clean_member_name(before + name) == name


def test_a_name_that_is_clean_already_is_not_copied() -> None:
    for size in range(1, 300):
        name = b"n" * size
        assert paths.clean_member_name(name) is name
