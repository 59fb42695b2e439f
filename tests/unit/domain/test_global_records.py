"""Records of pax global headers: what holds of an entry, and what none may say of all."""

from __future__ import annotations

import pytest

from firkin.domain.global_records import GlobalRecords
from firkin.domain.tar_header import Records, TarError
from tests.integration.layers.golden.blocks import record

NONE = Records({}, ())


def header(**records: str) -> bytes:
    """The contents of a header; two underscores in a keyword stand for a point."""
    return b"".join(record(keyword.replace("__", "."), value) for keyword, value in records.items())


def test_without_global_headers_an_entry_has_its_own_records() -> None:
    own = Records({b"path": b"a"}, ())
    assert GlobalRecords(100).of_entry(own, b"long") is own


def test_records_hold_until_another_header_changes_them() -> None:
    records = GlobalRecords(1000)
    records.take(header(uid="500000", gid="600000"))
    records.take(header(gid="700000", mtime="12.500"))
    assert records.of_entry(NONE).values == {b"uid": b"500000", b"gid": b"700000", b"mtime": b"12.500"}
    records.take(header(uid="", gid="", mtime="", SCHILY__xattr__a=""))
    assert records.of_entry(NONE) is NONE


def test_an_entrys_own_records_and_long_names_have_the_last_word() -> None:
    records = GlobalRecords(1000)
    records.take(header(path="every-one", linkpath="target"))
    assert records.of_entry(Records({b"path": b"own"}, ()), b"long", None).values == {
        b"path": b"own",
        b"linkpath": b"target",
    }
    assert records.of_entry(NONE, b"long", b"elsewhere").values == {b"path": b"long", b"linkpath": b"elsewhere"}
    assert records.of_entry(Records({b"path": b""}, ())).values[b"path"] == b""


def test_what_nobody_reads_is_not_kept() -> None:
    records = GlobalRecords(1000)
    records.take(header(comment="0123456789", uname="root", SCHILY__xattr__="1234"))
    assert records.of_entry(NONE) is NONE


@pytest.mark.parametrize("keyword", ["GNU__sparse__map", "GNU__sparse__offset", "GNU__sparse__minor"])
def test_a_sparse_map_is_of_no_more_than_one_file(keyword: str) -> None:
    with pytest.raises(TarError, match="sparse map, which can be of one file only"):
        GlobalRecords(1000).take(header(**{keyword: "0,10"}))


def test_attributes_are_limited_over_all_headers() -> None:
    records = GlobalRecords(2**20)
    for number in range(40):
        # Each counts for its name, its value and 16 bytes more; one that comes again counts once.
        records.take(header(**{f"SCHILY__xattr__user.{number:05}": "v" * 60}) * 2)
    with pytest.raises(TarError, match="more than 4096 bytes of extended attributes"):
        records.take(header(**{f"SCHILY__xattr__user.{number:05}": "v" * 60 for number in range(40, 50)}))


def test_what_holds_of_an_entry_is_limited_as_its_own_header_is() -> None:
    records = GlobalRecords(60)
    records.take(header(path="p" * 40))
    records.of_entry(Records({b"uid": b"1"}, ()))
    with pytest.raises(TarError, match="larger than 60 bytes"):
        records.of_entry(Records({b"comment": b"c" * 30}, ()))
    with pytest.raises(TarError, match="larger than 60 bytes"):
        records.take(header(linkpath="l" * 40))
