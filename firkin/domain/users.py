"""Who `user[:group]` is in a rootfs, by the rules that docker users know (passwd(5), group(5))."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from .errors import UserUnknown

MAXIMUM_ID = 2**31 - 1
_DECIMAL = re.compile(r"-?[0-9]+", re.ASCII)


class ResolvedUser(msgspec.Struct, frozen=True):
    """The numbers behind a user's name.

    Attributes:
        uid, gid: 0 to 2**31 - 1.
        additional_gids: every group of the process, `gid` first, each once.
        home: the home directory; `/` when passwd does not know it.
        name: the name in passwd, or "" when the uid is not there.
    """

    uid: int
    gid: int
    additional_gids: tuple[int, ...] = ()
    home: str = "/"
    name: str = ""


class _Account(msgspec.Struct, frozen=True):
    name: str
    uid: int
    gid: int
    home: str


class _Group(msgspec.Struct, frozen=True):
    name: str
    gid: int
    members: tuple[str, ...]


def resolved_user(user: str, passwd: str = "", group: str = "") -> ResolvedUser:
    """Resolve `user[:group]` against the text of a rootfs's passwd and group files ("" when it has none).

    Digits are an id, whatever names there are; an id need not be in the files. Without a group, the primary one
    of passwd counts (0 when the user is not there) and all groups that list the user's name; with a group, that one
    alone. An empty user is root. Comments and malformed lines of the files are skipped.

    Raises:
        UserUnknown: a name is not in its file, or an id is not within 0 to 2**31 - 1.
    """
    user_part, _, group_part = user.partition(":")
    account = _account(user, user_part, passwd)
    if group_part:
        gid = _group_id(user, group_part, group)
        gids: tuple[int, ...] = (gid,)
    else:
        gid = account.gid
        gids = (gid, *(one.gid for one in _groups(group) if account.name in one.members))
    return ResolvedUser(account.uid, gid, tuple(dict.fromkeys(gids)), account.home, account.name)


def _account(user: str, wanted: str, passwd: str) -> _Account:
    uid = _number(user, wanted or "0", "uid")
    for account in _accounts(passwd):
        if account.uid == uid if uid is not None else account.name == wanted:
            return account
    if uid is None:
        raise UserUnknown(user, f"its passwd file has no user {wanted!r}")
    return _Account("", uid, 0, "/")


def _group_id(user: str, wanted: str, group: str) -> int:
    gid = _number(user, wanted, "gid")
    if gid is not None:
        return gid
    for one in _groups(group):
        if one.name == wanted:
            return one.gid
    raise UserUnknown(user, f"its group file has no group {wanted!r}")


def _number(user: str, text: str, kind: str) -> int | None:
    if _DECIMAL.fullmatch(text) is None:
        return None
    # Longer digits cannot be in range, and int() refuses thousands of them.
    number = int(text) if len(text) <= 20 else -1
    if not 0 <= number <= MAXIMUM_ID:
        raise UserUnknown(user, f"{kind} {text} is not within 0 to {MAXIMUM_ID}")
    return number


def _accounts(passwd: str) -> Iterator[_Account]:
    for fields in _entries(passwd, 4):
        uid, gid = _file_id(fields[2]), _file_id(fields[3])
        if uid is not None and gid is not None:
            home = fields[5] if len(fields) > 5 and fields[5].startswith("/") else "/"
            yield _Account(fields[0], uid, gid, home)


def _groups(group: str) -> Iterator[_Group]:
    for fields in _entries(group, 3):
        gid = _file_id(fields[2])
        if gid is not None:
            names = fields[3].split(",") if len(fields) > 3 else []
            yield _Group(fields[0], gid, tuple(name.strip() for name in names if name.strip()))


def _entries(text: str, least_fields: int) -> Iterator[list[str]]:
    for line in text.split("\n"):
        fields = line.strip().split(":")
        if len(fields) >= least_fields and fields[0] and not line.lstrip().startswith("#"):
            yield fields


def _file_id(text: str) -> int | None:
    if not text.isascii() or not text.isdigit() or len(text) > 10 or int(text) > MAXIMUM_ID:
        return None
    return int(text)
