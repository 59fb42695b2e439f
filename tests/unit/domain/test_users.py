from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firkin.domain.users import ResolvedUser, resolved_user
from firkin.errors import UserUnknown

PASSWD = """\
root:x:0:0:root:/root:/bin/sh
# a comment:x:1:1::/:
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin

broken line
nouid:x:abc:5::/home/nouid:/bin/sh
huge:x:4294967296:5::/home/huge:/bin/sh
+::::::
app:x:1000:1001:App User:/home/app:/bin/sh
123:x:2000:2000:a name of digits:/home/digits:/bin/sh
nohome:x:1500:1500
app:x:3000:3000:a second one of this name:/home/second:/bin/sh
"""
GROUP = """\
root:x:0:
daemon:x:1:app
#staff:x:50:app
broken
nogid:x:abc:app
app:x:1001:
video:x:44:app,daemon
audio:x:29: other , app
empty:x:60
"""


def resolved(user: str) -> ResolvedUser:
    return resolved_user(user, PASSWD, GROUP)


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("", ResolvedUser(0, 0, (0,), "/root", "root")),
        ("root", ResolvedUser(0, 0, (0,), "/root", "root")),
        ("0", ResolvedUser(0, 0, (0,), "/root", "root")),
        ("app", ResolvedUser(1000, 1001, (1001, 1, 44, 29), "/home/app", "app")),
        ("1000", ResolvedUser(1000, 1001, (1001, 1, 44, 29), "/home/app", "app")),
        ("app:video", ResolvedUser(1000, 44, (44,), "/home/app", "app")),
        ("app:29", ResolvedUser(1000, 29, (29,), "/home/app", "app")),
        ("app:", ResolvedUser(1000, 1001, (1001, 1, 44, 29), "/home/app", "app")),
        (":", ResolvedUser(0, 0, (0,), "/root", "root")),
        (":video", ResolvedUser(0, 44, (44,), "/root", "root")),
        ("4000", ResolvedUser(4000, 0, (0,), "/", "")),
        ("4000:5000", ResolvedUser(4000, 5000, (5000,), "/", "")),
        ("4000:video", ResolvedUser(4000, 44, (44,), "/", "")),
        ("2147483647:2147483647", ResolvedUser(2147483647, 2147483647, (2147483647,), "/", "")),
        ("123", ResolvedUser(123, 0, (0,), "/", "")),
        ("nohome", ResolvedUser(1500, 1500, (1500,), "/", "nohome")),
        ("app:empty", ResolvedUser(1000, 60, (60,), "/home/app", "app")),
    ],
)
def test_a_user_is_resolved_as_docker_does(user: str, expected: ResolvedUser) -> None:
    assert resolved(user) == expected


@pytest.mark.parametrize(
    ("user", "reason"),
    [
        ("nobody", "no user 'nobody'"),
        ("nouid", "no user 'nouid'"),
        ("huge", "no user 'huge'"),
        ("#a comment", "no user"),
        ("+", "no user"),
        ("app:staff", "no group 'staff'"),
        ("app:nogid", "no group 'nogid'"),
        ("-1", "uid -1 is not within 0 to 2147483647"),
        ("2147483648", "uid 2147483648 is not within"),
        ("app:2147483648", "gid 2147483648 is not within"),
        ("9" * 5000, "is not within"),
        ("a:b:c", "no user 'a'"),
    ],
)
def test_what_cannot_be_resolved_is_an_error_that_says_why(user: str, reason: str) -> None:
    with pytest.raises(UserUnknown) as raised:
        resolved(user)
    assert raised.value.user == user
    assert reason in raised.value.reason


def test_a_rootfs_without_the_files_has_numbers_only() -> None:
    assert resolved_user("") == ResolvedUser(0, 0, (0,), "/", "")
    assert resolved_user("7:8") == ResolvedUser(7, 8, (8,), "/", "")
    with pytest.raises(UserUnknown):
        resolved_user("root")


def test_lines_may_end_as_on_windows() -> None:
    assert resolved_user("app", "app:x:5:6::/home/app:/bin/sh\r\n", "more:x:7:app\r\n").additional_gids == (6, 7)


@given(st.text(), st.text(), st.text())
def test_no_text_at_all_breaks_it(user: str, passwd: str, group: str) -> None:
    try:
        found = resolved_user(user, passwd, group)
    except UserUnknown:
        return
    assert 0 <= found.uid < 2**31
    assert found.additional_gids[0] == found.gid
