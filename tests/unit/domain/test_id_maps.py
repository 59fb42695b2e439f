from __future__ import annotations

import pytest

from firkin.domain.id_map import IdMap, IdRange, IdRanges

HOST = "         0          0 4294967295\n"


def test_the_format_of_the_kernel_is_read_and_written() -> None:
    text = "         0       1000          1\n         1     100000      65536\n"
    ranges = IdRanges.parse(text)
    assert ranges.ranges == (IdRange(0, 1000, 1), IdRange(1, 100000, 65536))
    assert IdRanges.parse(str(ranges)) == ranges
    assert str(ranges) == "0 1000 1\n1 100000 65536"


def test_root_is_the_user_and_the_others_follow_through_all_of_his_ranges() -> None:
    ranges = IdRanges.packed(1000, [(100000, 10), (300000, 5)])
    assert str(ranges) == "0 1000 1\n1 100000 10\n11 300000 5"
    assert ranges.total == 16
    assert [number for number in (0, 10, 15, 16, -1, 1000) if number in ranges] == [0, 10, 15]


@pytest.mark.parametrize(("text", "is_host"), [(HOST, True), ("0 1000 1\n", False), ("0 1 4294967294\n", False)])
def test_the_hosts_own_ids_are_known(text: str, is_host: bool) -> None:
    assert IdRanges.parse(text).is_host is is_host


def test_a_map_of_root_alone_is_single() -> None:
    assert IdMap(IdRanges.packed(1000), IdRanges.packed(1000)).is_single
    assert not IdMap(IdRanges.packed(1000, [(1, 1)]), IdRanges.packed(1000, [(1, 1)])).is_single
