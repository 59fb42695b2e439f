"""What every log keeper promises, and what only files can have."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from firkin.adapters.log_files import FileLogKeeper
from firkin.adapters.log_files.lines import decoded, encoded
from firkin.adapters.memory import MemoryLogKeeper
from firkin.domain.ids import ContainerId, PodId
from firkin.domain.output_log import LogEntry
from firkin.ports.log_keeper import LogKeeper

POD, A, B = PodId("pod-1"), ContainerId("a"), ContainerId("b")


@pytest.fixture(params=["memory", "files"])
def firkin_log_keeper(request: pytest.FixtureRequest, tmp_path: Path) -> LogKeeper:
    (tmp_path / POD).mkdir()
    return MemoryLogKeeper() if request.param == "memory" else FileLogKeeper(tmp_path)


def _bytes(keeper: LogKeeper, stream: str = "stdout", since: float | None = None, tail: int | None = None) -> bytes:
    return b"".join(entry.data for entry in keeper.entries(POD, A, since, tail) if entry.stream == stream)


class TestFiles:
    """What only files can have."""

    @pytest.mark.parametrize("data", [b"x" * 100_000, b"\n" * 100_000, b"0123456789\n" * 10_000])
    def test_the_bound_holds_on_the_disk_whatever_is_written(self, tmp_path: Path, data: bytes) -> None:
        (tmp_path / POD).mkdir()
        log = FileLogKeeper(tmp_path).opened(POD, A, 50_000)
        for number in range(3):
            log.append("stdout", data, float(number))
        files = list((tmp_path / POD / "logs").iterdir())
        assert sorted(file.name for file in files) == ["a.log", "a.log.1"]
        assert sum(file.stat().st_size for file in files) <= 50_000
        kept = _bytes(FileLogKeeper(tmp_path))
        assert kept
        assert (data * 3).endswith(kept)

    def test_files_and_directory_are_the_users_alone(self, tmp_path: Path) -> None:
        (tmp_path / POD).mkdir()
        FileLogKeeper(tmp_path).opened(POD, A, 50_000).append("stdout", b"secret\n", 1.0)
        assert (tmp_path / POD / "logs").stat().st_mode & 0o777 == 0o700
        assert (tmp_path / POD / "logs" / "a.log").stat().st_mode & 0o777 == 0o600

    def test_what_cannot_be_kept_is_told_once_something_can_be(self, tmp_path: Path) -> None:
        log = FileLogKeeper(tmp_path).opened(POD, A, 50_000)  # there is no directory of the pod yet
        log.append("stdout", b"lost\n", 1.0)
        log.append("stderr", b"as well\n", 2.0)
        (tmp_path / POD).mkdir()
        log.append("stdout", b"kept\n", 3.0)
        log.append("stdout", b"kept, too\n", 4.0)
        entries = FileLogKeeper(tmp_path).entries(POD, A)
        assert [(entry.data, entry.lost_bytes) for entry in entries] == [(b"kept\n", 13), (b"kept, too\n", 0)]

    def test_a_full_disk_stops_nobody_and_leaves_whole_lines(self, tmp_path: Path) -> None:
        (tmp_path / POD / "logs").mkdir(parents=True)
        (tmp_path / POD / "logs" / "a.log").symlink_to("/dev/full")
        log = FileLogKeeper(tmp_path).opened(POD, A, 50_000)
        log.append("stdout", b"lost\n", 1.0)
        (tmp_path / POD / "logs" / "a.log").unlink()
        log.append("stdout", b"kept\n", 2.0)
        (entry,) = FileLogKeeper(tmp_path).entries(POD, A)
        assert (entry.data, entry.lost_bytes) == (b"kept\n", 5)

    def test_a_line_that_a_crash_cut_off_is_left_out(self, tmp_path: Path) -> None:
        (tmp_path / POD).mkdir()
        log = FileLogKeeper(tmp_path).opened(POD, A, 50_000)
        log.append("stdout", b"whole\n", 1.0)
        with (tmp_path / POD / "logs" / "a.log").open("ab") as file:
            file.write(b"1970-01-01T00:00:02.000000Z stdout F cut o")
        assert _bytes(FileLogKeeper(tmp_path)) == b"whole\n"

    def test_the_lines_are_those_of_the_container_runtime_interface(self) -> None:
        lines = encoded("stderr", b"one\n\ntwo", 1_700_000_000.5)
        assert lines == (
            b"2023-11-14T22:13:20.500000Z stderr F one\n"
            b"2023-11-14T22:13:20.500000Z stderr F \n"
            b"2023-11-14T22:13:20.500000Z stderr P two\n"
        )

    @settings(max_examples=200, deadline=None)
    @given(
        some.lists(
            some.tuples(some.sampled_from(("stdout", "stderr")), some.binary(min_size=1), some.integers(1, 2**31)),
            max_size=20,
        )
    )
    def test_every_output_comes_back(self, written: list[tuple[str, bytes, int]]) -> None:
        lines = b"".join(encoded(stream, data, float(moment)) for stream, data, moment in written)
        entries = _split(lines)
        for stream in ("stdout", "stderr"):
            expected = b"".join(data for name, data, _ in written if name == stream)
            assert b"".join(entry.data for entry in entries if entry.stream == stream) == expected

    @settings(max_examples=200, deadline=None)
    @given(some.binary())
    def test_no_damage_of_a_file_is_a_crash(self, damage: bytes) -> None:
        for entry in _split(damage):
            assert entry.data is not None


def _split(lines: bytes) -> list[LogEntry]:
    """As a file is read: lines end with a newline, and with nothing else."""
    return list(decoded(line + b"\n" for line in lines.split(b"\n")[:-1]))
