from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firkin.domain.output_log import LogEntry, OutputLog

Writes = Sequence[tuple[str, bytes]]

WRITES = st.lists(
    st.tuples(
        st.sampled_from(["stdout", "stderr"]), st.lists(st.sampled_from([b"a", b"b", b"\n"]), min_size=1, max_size=6)
    ).map(lambda write: (write[0], b"".join(write[1]))),
    max_size=12,
)


def log_of(writes: Writes, max_bytes: int = 2**20) -> OutputLog:
    log = OutputLog(max_bytes)
    for second, (stream, data) in enumerate(writes):
        log.append(stream, data, float(second))
    return log


def written(entries: Sequence[LogEntry], stream: str | None = None) -> bytes:
    return b"".join(entry.data for entry in entries if stream in (None, entry.stream))


def test_the_newest_output_is_kept_within_the_bound() -> None:
    log = log_of([("stdout", b"x" * 600), ("stderr", b"y" * 300), ("stdout", b"z" * 300)], 1000)
    assert written(log.entries()) == b"y" * 300 + b"z" * 300
    log.append("stdout", bytes(5000), 0.0)
    assert written(log.entries()) == bytes(1000)
    assert log.end == 6200


def test_many_small_pieces_do_not_cost_more_than_the_bound_says() -> None:
    log = OutputLog(1280)
    for _ in range(1000):
        log.append("stdout", b"x", 0.0)
    assert len(log.entries()) == 10


def test_a_reader_that_comes_too_late_is_told_how_much_it_lost() -> None:
    log = log_of([("stdout", b"old")], 1000)
    position = log.end
    for letter in b"abc":
        log.append("stdout", bytes((letter,)) * 400, 0.0)
    assert [(one.data[:1], one.lost_bytes) for one in log.since(position)] == [(b"b", 400), (b"c", 0)]
    assert log.since(log.end) == []


def test_output_is_chosen_by_the_time_of_its_arrival() -> None:
    log = log_of([("stdout", b"one\n"), ("stderr", b"two\n"), ("stdout", b"three\n")])
    assert [entry.data for entry in log.entries(1.0)] == [b"two\n", b"three\n"]
    assert [entry.data for entry in log.entries(1.0, 1)] == [b"three\n"]
    assert log.entries(2.5) == []


@pytest.mark.parametrize(
    ("writes", "tail", "left"),
    [
        ([("stdout", b"a\nb\nc\n")], 2, b"b\nc\n"),
        ([("stdout", b"a\nb\nc")], 1, b"c"),
        ([("stdout", b"a\nb"), ("stdout", b"b\nc\n")], 2, b"bb\nc\n"),
        ([("stdout", b"a"), ("stderr", b"e\n"), ("stdout", b"a\nb\n")], 2, b"e\nb\n"),
        ([("stdout", b"a"), ("stdout", b"a"), ("stdout", b"a")], 1, b"aaa"),
        ([("stdout", b"a\n")], 0, b""),
        ([("stdout", b"a\n")], 5, b"a\n"),
    ],
)
def test_the_last_lines_are_whole_lines(writes: Writes, tail: int, left: bytes) -> None:
    assert written(log_of(writes).entries(tail=tail)) == left


@given(WRITES, st.integers(0, 10))
def test_the_last_lines_are_those_that_began_last(writes: Writes, tail: int) -> None:
    begun: list[tuple[str, bytearray]] = []
    current: dict[str, bytearray] = {}
    for stream, data in writes:
        for byte in data:
            if stream not in current:
                current[stream] = bytearray()
                begun.append((stream, current[stream]))
            current[stream].append(byte)
            if byte == 10:
                del current[stream]
    last = begun[max(len(begun) - tail, 0) :]
    entries = log_of(writes).entries(tail=tail)
    for stream in ("stdout", "stderr"):
        assert written(entries, stream) == b"".join(bytes(line) for name, line in last if name == stream)


@given(WRITES, st.integers(1, 40), st.data())
def test_what_a_reader_gets_and_what_it_lost_is_all_there_was(writes: Writes, bound: int, data: st.DataObject) -> None:
    log, position, seen = OutputLog(bound), 0, 0
    for stream, piece in writes:
        log.append(stream, piece, 0.0)
        if data.draw(st.booleans()):
            for entry in log.since(position):
                seen += len(entry.data) + entry.lost_bytes
            position = log.end
            assert seen == position
