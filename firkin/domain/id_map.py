"""Which ids of the host stand behind the ids of a user namespace (user_namespaces(7))."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

ALL_IDS = 2**32 - 1
"""How many ids there are; the last one means "none"."""


class IdRange(msgspec.Struct, frozen=True):
    """`count` ids in a row: from `inside` in the namespace, from `outside` on the host."""

    inside: int
    outside: int
    count: int


class IdRanges(msgspec.Struct, frozen=True):
    """The users, or the groups, of a namespace."""

    ranges: tuple[IdRange, ...]

    @classmethod
    def parse(cls, text: str) -> IdRanges:
        """Read the format of /proc/PID/uid_map."""
        return cls(tuple(IdRange(*map(int, line.split())) for line in text.splitlines() if line.strip()))

    @classmethod
    def packed(cls, own_id: int, subordinate: Iterable[tuple[int, int]] = ()) -> IdRanges:
        """Root inside is `own_id`; ids from 1 on are the subordinate ranges (first id, count), one after the other."""
        ranges = [IdRange(0, own_id, 1)]
        for first, count in subordinate:
            ranges.append(IdRange(ranges[-1].inside + ranges[-1].count, first, count))
        return cls(tuple(ranges))

    def __contains__(self, number: object) -> bool:
        """True when an id of the namespace stands for one of the host."""
        return isinstance(number, int) and any(one.inside <= number < one.inside + one.count for one in self.ranges)

    def __str__(self) -> str:
        """The format of /proc/PID/uid_map."""
        return "\n".join(f"{one.inside} {one.outside} {one.count}" for one in self.ranges)

    @property
    def total(self) -> int:
        """How many ids there are inside."""
        return sum(one.count for one in self.ranges)

    @property
    def is_host(self) -> bool:
        """True for a process that is in no user namespace but the first."""
        return self.total >= ALL_IDS and all(one.inside == one.outside for one in self.ranges)


class IdMap(msgspec.Struct, frozen=True):
    """Users and groups of a user namespace.

    Attributes:
        shortfall: why there is only one id, "" when there are more.
        remedy: the command that gives the user more.
    """

    users: IdRanges
    groups: IdRanges
    shortfall: str = ""
    remedy: str = ""

    @property
    def is_single(self) -> bool:
        """True when root is the only user inside."""
        return self.users.total == 1

    def __str__(self) -> str:
        return f"users\n{self.users}\ngroups\n{self.groups}\n"
