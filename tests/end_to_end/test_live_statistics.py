"""`firkin stats` as it goes on: into a pipe, on a terminal, until Ctrl-C and until the pods have ended."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator

import pytest

from .command import Command, finished
from .terminal import on_terminal

CTRL_C = b"\x03"
BUSY = "while :; do :; done"


@pytest.fixture
def web(firkin: Command, busybox_image: str) -> Iterator[str]:
    """A pod that uses the processor."""
    assert firkin.run("run", "-d", "--name", "web", busybox_image, "sh", "-c", BUSY).code == 0
    yield "web"
    assert firkin.run("rm", "-f", "web").code == 0


def test_a_line_of_json_comes_at_each_interval_until_ctrl_c(firkin: Command, web: str) -> None:
    with firkin.started("stats", "--json", "--interval", "0.5", web) as stats:
        assert stats.stdout is not None
        samples = [json.loads(stats.stdout.readline())]
        # On a busy machine one may tell the same once more, or that the pod had no turn.
        while len(samples) < 4 or _moment(samples[0]) == _moment(samples[-1]) or not samples[-1][0]["cpu_percent"]:
            samples.append(json.loads(stats.stdout.readline()))
        stats.send_signal(signal.SIGINT)
        done = finished(stats)
    # A terminal has shown ^C, and what comes next begins a line.
    assert (done.code, done.stderr) == (128 + signal.SIGINT, "\n")
    assert [[one["pod"] for one in sample] for sample in samples] == [[web]] * len(samples)
    assert sorted(map(_moment, samples)) == list(map(_moment, samples))
    assert min(sample[0]["cpu_percent"] for sample in samples) >= 0


def _moment(sample: list[dict[str, float]]) -> float:
    return sample[0]["taken_unix_seconds"]


def test_tables_come_until_the_pod_ends(firkin: Command, web: str) -> None:
    with firkin.started("stats", "--interval", "0.1") as stats:
        assert stats.stdout is not None
        for _ in range(2):
            assert stats.stdout.readline().split()[:2] == [b"POD", b"CONTAINER"]
            assert stats.stdout.readline().split()[:2] == [b"web", b"main"]
        assert firkin.run("stop", "-t", "0", web).code == 0
        done = finished(stats)
    assert (done.code, done.stderr) == (0, "")
    # Nothing is said of what there no longer is.
    assert done.stdout.splitlines()[-1:] == [] or done.stdout.splitlines()[-1].split()[0] == b"web"
    over = firkin.run("stats", "--no-stream", "--json", web)
    assert (over.code, over.stdout, "web" in over.error()) == (125, b"", True)
    assert firkin.run("stats", "--no-stream", "--json").stdout == b"[]\n"


def test_a_terminal_shows_one_table_that_changes_and_is_left_as_it_was(
    firkin: Command, web: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    with on_terminal(firkin, "stats", "--interval", "0.1", web) as terminal:
        before = terminal.modes()
        for _ in range(3):
            terminal.until(b"web")
        terminal.type(CTRL_C)
        code, shown = terminal.ended()
        assert code == 128 + signal.SIGINT
        assert shown.rpartition(b"\x1b[?25")[2].startswith(b"h"), "the cursor is shown again"
        assert b"Traceback" not in shown
        assert terminal.modes() == before
    with on_terminal(firkin, "stats", "--interval", "0.1") as terminal:
        terminal.until(b"web")
        assert firkin.run("stop", "-t", "0", web).code == 0
        assert terminal.ended()[0] == 0
