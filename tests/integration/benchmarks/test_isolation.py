"""A benchmark of layers leaves nothing, however it ends."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

_DEADLINE_SECONDS = 60
_POLL_SECONDS = 0.01

_MEASURING = """
import subprocess, sys
from benchmarks.layers import places
from benchmarks.layers.isolation import isolated

def work():
    with places.ext4() as place:
        (place / "file").write_bytes(bytes(2**20))
        with subprocess.Popen(["sh", "-c", "sleep 3600; true", sys.argv[1]]) as tool:
            print(place.parent.name, flush=True)
            return tool.wait()

sys.exit(isolated(work))
"""


def until(condition: Callable[[], bool]) -> None:
    """Wait for what the kernel does when a process is gone."""
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        threading.Event().wait(_POLL_SECONDS)


def loop_devices_of(place: str) -> list[str]:
    found = []
    for path in Path("/sys/block").glob("loop*/loop/backing_file"):
        try:
            backing = path.read_text()
        except OSError:
            continue  # given back meanwhile
        if place in backing:
            found.append(path.parts[3])
    return found


def processes_with(word: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            arguments = path.read_bytes().split(b"\0")
        except OSError:
            continue  # ended meanwhile
        if word.encode() in arguments:
            found.append(path.parts[2])
    return found


@contextlib.contextmanager
def measuring(word: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """One on ext4, whose tool has begun: its process, and the name of its directory in memory."""
    with subprocess.Popen([sys.executable, "-c", _MEASURING, word], stdout=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout is not None
            yield running, running.stdout.readline().strip()
        finally:
            running.kill()


@pytest.mark.needs_root
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_benchmark_that_a_signal_ends_leaves_nothing(number: signal.Signals) -> None:
    word = f"benchmark-of-{os.getpid()}-{number}"
    with measuring(word) as (running, place):
        assert place.startswith("firkin-bench-")
        assert len(loop_devices_of(place)) == 1
        # The caller, its child, and the tool, which shows its arguments a moment after it became a program.
        until(lambda: len(processes_with(word)) >= 3)
        assert place not in Path("/proc/self/mountinfo").read_text()
        assert place not in os.listdir("/dev/shm")
        running.send_signal(number)
        assert running.wait(_DEADLINE_SECONDS) == -number
    until(lambda: not processes_with(word) and not loop_devices_of(place))
    assert place not in Path("/proc/self/mountinfo").read_text()
    assert place not in os.listdir("/dev/shm")


@pytest.mark.needs_root
def test_a_benchmark_whose_child_is_killed_is_told_as_a_shell_does() -> None:
    word = f"benchmark-of-{os.getpid()}-child"
    with measuring(word) as (running, place):
        child = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text()
        os.kill(int(child), signal.SIGKILL)
        assert running.wait(_DEADLINE_SECONDS) == 128 + signal.SIGKILL
    until(lambda: not processes_with(word) and not loop_devices_of(place))


@pytest.mark.needs_root
@pytest.mark.parametrize("status", [0, 3])
def test_the_status_of_an_isolated_process_is_told(status: int) -> None:
    code = f"import sys; from benchmarks.layers.isolation import isolated; sys.exit(isolated(lambda: {status}))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == status
