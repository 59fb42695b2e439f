from __future__ import annotations

import pytest

from firkin.domain.linux_capabilities import (
    ALL_CAPABILITIES,
    DEFAULT_CAPABILITIES,
    chosen_capabilities,
    normalised_capability,
)


def test_linux_has_41_capabilities() -> None:
    assert len(set(ALL_CAPABILITIES)) == 41


@pytest.mark.parametrize("name", ["net_admin", "NET_ADMIN", "CAP_NET_ADMIN", "cap_net_admin"])
def test_a_capability_has_several_spellings(name: str) -> None:
    assert normalised_capability(name) == "CAP_NET_ADMIN"


@pytest.mark.parametrize("name", ["", "CAP_", "NET_ADMI", "CAP_CAP_KILL", "ALL"])
def test_an_unknown_capability_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not a Linux capability"):
        normalised_capability(name)


def test_the_default_set_has_no_dangerous_capability() -> None:
    dangerous = {"CAP_SYS_ADMIN", "CAP_NET_RAW", "CAP_MKNOD", "CAP_SYS_PTRACE", "CAP_SYS_MODULE", "CAP_NET_ADMIN"}
    assert not dangerous & set(DEFAULT_CAPABILITIES)
    assert set(chosen_capabilities((), ())) == set(DEFAULT_CAPABILITIES)


@pytest.mark.parametrize(
    ("add", "drop", "expected"),
    [
        (["net_raw"], [], {*DEFAULT_CAPABILITIES, "CAP_NET_RAW"}),
        ([], ["KILL"], set(DEFAULT_CAPABILITIES) - {"CAP_KILL"}),
        (["KILL"], ["KILL"], set(DEFAULT_CAPABILITIES)),
        ([], ["all"], set()),
        (["CHOWN"], ["ALL"], {"CAP_CHOWN"}),
        (["ALL"], [], set(ALL_CAPABILITIES)),
        (["ALL"], ["SYS_ADMIN"], set(ALL_CAPABILITIES) - {"CAP_SYS_ADMIN"}),
        (["all"], ["all"], set(ALL_CAPABILITIES)),
    ],
)
def test_adding_and_dropping(add: list[str], drop: list[str], expected: set[str]) -> None:
    chosen = chosen_capabilities(add, drop)
    assert set(chosen) == expected
    assert list(chosen) == [name for name in ALL_CAPABILITIES if name in expected]


def test_the_start_need_not_be_the_default() -> None:
    assert chosen_capabilities(["KILL"], ["CHOWN"], ["CAP_CHOWN", "CAP_SETUID"]) == ("CAP_KILL", "CAP_SETUID")
