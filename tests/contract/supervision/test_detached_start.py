"""Signals while a supervisor starts: nothing of the pod is left, or its name is told; in processes of their own."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

_SECONDS = 60
_PREPARED = """
import os, pathlib, select, sys
from firkin.adapters.supervisor_process import start_detached
from firkin.ports.agent_templates import TemplateProgress
command, told, number = os.getpid(), pathlib.Path(sys.argv[1]), int(sys.argv[2])

def interrupted(*_):
    os.kill(command, number)

def hears(starter):
    return bool(select.select([starter.fileno()], [], [], 60)[0])

def start(work, on_progress=lambda _: None, on_running=print):
    try:
        start_detached(work, on_progress, on_running)
    except KeyboardInterrupt:
        print("interrupted")

def progressing(work):
    def progressed(starter):
        starter.progressed(TemplateProgress(0, 1, 1, 2))
        work(starter)
    return progressed
"""
_GIVEN_UP = """
def work(starter):
    if hears(starter) and starter.wants_to_give_up():
        told.write_text("given up")
"""


def _told(directory: Path, script: str, number: int = signal.SIGINT) -> tuple[str, str]:
    """What the command printed, and what its supervisor wrote down."""
    told = directory / "told"
    done = subprocess.run(
        [sys.executable, "-c", _PREPARED + script, str(told), str(number)],
        capture_output=True, text=True, timeout=_SECONDS, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout, told.read_text() if told.exists() else ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGQUIT])
def test_a_signal_at_its_progress_gives_a_pod_up(tmp_path: Path, number: int) -> None:
    script = f"{_GIVEN_UP}\nstart(progressing(work), on_progress=interrupted)"
    assert _told(tmp_path, script, number) == ("interrupted\n", "given up")


def test_a_signal_before_anything_is_told_gives_a_pod_up(tmp_path: Path) -> None:
    """Whether the command waits already or has only just made the process."""
    script = f"{_GIVEN_UP}\ndef at_once(starter):\n    interrupted()\n    work(starter)\n\nstart(at_once)"
    assert _told(tmp_path, script) == ("interrupted\n", "given up")


def test_the_name_of_a_pod_that_runs_a_moment_before_it_is_given_up_is_told(tmp_path: Path) -> None:
    """The supervisor lets go of the command without having read that it was given up."""
    script = """
def work(starter):
    if hears(starter):
        starter.running("web")

start(progressing(work), on_progress=interrupted)
"""
    assert _told(tmp_path, script) == ("web\n", "")


def test_a_signal_does_not_keep_the_name_of_a_pod_that_runs_from_being_told(tmp_path: Path) -> None:
    script = """
def running(name):
    interrupted()
    print(name)

start(lambda starter: starter.running("web"), on_running=running)
"""
    assert _told(tmp_path, script) == ("web\n", "")


def test_a_second_signal_ends_the_wait_for_a_supervisor_that_does_not_end(tmp_path: Path) -> None:
    script = f"""{_GIVEN_UP}
def hanging(starter):
    work(starter)
    interrupted()
    hears(starter)  # that the command has gone

start(progressing(hanging), on_progress=interrupted)
"""
    assert _told(tmp_path, script) == ("interrupted\n", "given up")


def test_what_the_command_ignores_it_goes_on_ignoring(tmp_path: Path) -> None:
    script = """
import signal
signal.signal(signal.SIGINT, signal.SIG_IGN)

def work(starter):
    interrupted()
    starter.running("web")

start(work)
"""
    assert _told(tmp_path, script) == ("web\n", "")
