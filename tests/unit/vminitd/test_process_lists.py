"""The processes of a container."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from firkin.vminitd.process_list import container_processes

ARGUMENT = "x" * 100_000
PROCESSES = 20


@pytest.fixture
def groups(tmp_path: Path) -> Iterator[Path]:
    """Control groups of a container whose processes have long arguments."""
    (tmp_path / "cgroup.controllers").write_text("")
    (tmp_path / "c").mkdir()
    with contextlib.ExitStack() as stack:
        pids = []
        for _ in range(PROCESSES):
            command = ["sh", "-c", "read line", "sh", ARGUMENT, ARGUMENT]
            process = stack.enter_context(subprocess.Popen(command, stdin=subprocess.PIPE))
            stack.callback(process.kill)
            pids.append(process.pid)
        (tmp_path / "c" / "cgroup.procs").write_text("".join(f"{pid}\n" for pid in pids))
        yield tmp_path


def test_processes_are_listed_however_long_their_arguments_are(groups: Path) -> None:
    listed = container_processes("/c", "/nonexistent", str(groups))
    assert len(listed) == PROCESSES
    assert listed[0].command[:4] == ("sh", "-c", "read line", "sh")
    assert len(listed[0].command[4]) > 60_000
    assert listed[-1].command == ("[sh]",)
    assert sum(len(text) for one in listed for text in one.command) < 600_000
