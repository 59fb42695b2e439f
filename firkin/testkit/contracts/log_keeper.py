"""What every log keeper promises (ports/log_keeper.py)."""

from __future__ import annotations

from firkin.domain.ids import ContainerId, PodId
from firkin.ports.log_keeper import LogKeeper

POD, A, B = PodId("pod-1"), ContainerId("a"), ContainerId("b")


def test_nothing_is_kept_of_what_wrote_nothing(firkin_log_keeper: LogKeeper) -> None:
    firkin_log_keeper.opened(POD, A, 1000).close()
    assert list(firkin_log_keeper.entries(POD, A)) == []
    assert list(firkin_log_keeper.entries(POD, B)) == []
    assert list(firkin_log_keeper.entries(PodId("another"), A)) == []


def test_every_byte_is_kept_with_its_stream_and_its_moment(firkin_log_keeper: LogKeeper) -> None:
    log = firkin_log_keeper.opened(POD, A, 10_000)
    log.append("stdout", b"one\ntwo", 1000.25)
    log.append("stderr", b"\xff\x00\n", 1000.5)
    log.append("stdout", b"\n\n", 1001.0)
    assert _bytes(firkin_log_keeper) == b"one\ntwo\n\n"
    assert _bytes(firkin_log_keeper, "stderr") == b"\xff\x00\n"
    assert [entry.unix_seconds for entry in firkin_log_keeper.entries(POD, A)] == [1000.25, 1000.5, 1001.0]
    assert list(firkin_log_keeper.entries(POD, B)) == []


def test_a_log_goes_on_where_it_ended(firkin_log_keeper: LogKeeper) -> None:
    first = firkin_log_keeper.opened(POD, A, 10_000)
    first.append("stdout", b"one\n", 1.0)
    first.close()
    first.close()
    first.append("stdout", b"two\n", 2.0)
    firkin_log_keeper.opened(POD, A, 10_000).append("stdout", b"three\n", 3.0)
    assert _bytes(firkin_log_keeper) == b"one\ntwo\nthree\n"


def test_the_last_lines_and_those_since_a_moment(firkin_log_keeper: LogKeeper) -> None:
    log = firkin_log_keeper.opened(POD, A, 10_000)
    for number in range(5):
        log.append("stdout", f"line {number}\n".encode(), float(number))
    assert _bytes(firkin_log_keeper, tail=2) == b"line 3\nline 4\n"
    assert _bytes(firkin_log_keeper, since=3.0) == b"line 3\nline 4\n"
    assert _bytes(firkin_log_keeper, since=1.0, tail=1) == b"line 4\n"
    assert _bytes(firkin_log_keeper, tail=0) == b""


def test_the_newest_output_is_kept_within_the_bound(firkin_log_keeper: LogKeeper) -> None:
    log = firkin_log_keeper.opened(POD, A, 20_000)
    for number in range(2000):
        log.append("stdout", f"line {number:06}\n".encode(), float(number))
    lines = _bytes(firkin_log_keeper).splitlines()
    assert lines[-1] == b"line 001999"
    assert lines == [f"line {number:06}".encode() for number in range(2000 - len(lines), 2000)]
    assert 100 < len(lines) < 2000


def _bytes(keeper: LogKeeper, stream: str = "stdout", since: float | None = None, tail: int | None = None) -> bytes:
    return b"".join(entry.data for entry in keeper.entries(POD, A, since, tail) if entry.stream == stream)
