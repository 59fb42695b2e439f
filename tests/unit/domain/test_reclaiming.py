from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from firkin.domain.reclaiming import Reclaimable, ReclaimableKind, planned_reclaiming

ITEMS = st.lists(
    st.builds(
        Reclaimable,
        st.sampled_from(ReclaimableKind),
        st.uuids().map(str),
        st.integers(0, 1000),
        st.floats(0, 1000),
        st.sampled_from(["", "", "a pod uses it"]),
    ),
    max_size=12,
)


def template(identity: str, size: int, used: float, held: str = "") -> Reclaimable:
    return Reclaimable(ReclaimableKind.TEMPLATE, identity, size, used, held)


def removed(items: list[Reclaimable], keep_bytes: int) -> list[str]:
    return [one.item.identity for one in planned_reclaiming(items, keep_bytes) if one.is_removed]


def test_what_was_not_used_for_the_longest_time_goes_first() -> None:
    items = [template("new", 10, 3.0), template("old", 10, 1.0), template("middle", 10, 2.0)]
    assert removed(items, 30) == []
    assert removed(items, 29) == ["old"]
    assert removed(items, 10) == ["old", "middle"]
    assert removed(items, 0) == ["old", "middle", "new"]


def test_what_is_held_stays_and_counts() -> None:
    items = [template("held", 10, 1.0, "pod a uses it"), template("free", 10, 2.0)]
    decisions = {one.item.identity: one for one in planned_reclaiming(items, 15)}
    assert (decisions["held"].is_removed, decisions["held"].reason) == (False, "pod a uses it")
    assert decisions["free"].is_removed


def test_rubbish_goes_before_all_else_and_whatever_may_be_kept() -> None:
    blob = Reclaimable(ReclaimableKind.BLOB, "blob", 10, 9.0)
    assert removed([template("old", 10, 1.0), blob], 10) == ["blob"]
    assert removed([blob], 1000) == ["blob"]


@given(items=ITEMS, keep_bytes=st.integers(0, 5000))
def test_each_item_is_decided_with_a_reason_and_nothing_more_than_needed_goes(
    items: list[Reclaimable], keep_bytes: int
) -> None:
    decisions = planned_reclaiming(items, keep_bytes)
    assert sorted(one.item.identity for one in decisions) == sorted(item.identity for item in items)
    assert all(one.reason for one in decisions)
    assert not any(one.is_removed and one.item.held for one in decisions)
    left = sum(one.item.size_bytes for one in decisions if not one.is_removed)
    useful = [one.item for one in decisions if one.is_removed and not one.item.kind.is_rubbish]
    if useful:
        assert left + useful[-1].size_bytes > keep_bytes
    if left > keep_bytes:
        assert all(one.item.held for one in decisions if not one.is_removed and one.item.size_bytes)
