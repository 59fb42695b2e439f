"""A pseudo terminal with `firkin` or another program on it, as a person has it before them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping

from .command import Command, Started

_DEADLINE_SECONDS = 60.0


class Terminal:
    """The person's side: what is shown, what is typed, how large the window is."""

    def __init__(self, master: int, process: subprocess.Popen[bytes]) -> None:
        self._master = master
        self.process = process
        self.shown = b""

    def type(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self._master, keys)

    def resize(self, columns: int, rows: int) -> None:
        """Change the window."""
        set_size(self._master, columns, rows)

    def until(self, text: bytes) -> bytes:
        """Watch until `text` is shown; returns all up to it, and forgets it."""
        deadline = time.monotonic() + _DEADLINE_SECONDS
        while text not in self.shown:
            assert time.monotonic() < deadline, self.shown
            data = self._read(deadline)
            assert data, self.shown
            self.shown += data
        before, found, self.shown = self.shown.partition(text)
        return before + found

    def ended(self) -> tuple[int, bytes]:
        """Watch to the end; returns the exit code and what was still shown."""
        deadline = time.monotonic() + _DEADLINE_SECONDS
        while self.process.poll() is None or select.select([self._master], [], [], 0)[0]:
            assert time.monotonic() < deadline, self.shown
            self.shown += self._read(time.monotonic() + 0.05)
        return self.process.returncode, self.shown

    def modes(self) -> list[object]:
        """The terminal's modes, which a program must leave as it found them."""
        return list(termios.tcgetattr(self._master))

    def _read(self, deadline: float) -> bytes:
        if not select.select([self._master], [], [], max(deadline - time.monotonic(), 0))[0]:
            return b""
        return os.read(self._master, 65536)


def set_size(descriptor: int, columns: int, rows: int) -> None:
    """Give a terminal its size."""
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


@contextlib.contextmanager
def on_terminal(command: Command, *arguments: str) -> Iterator[Terminal]:
    """Start `firkin` on a terminal."""
    with program_on_terminal(command.environment(), sys.executable, "-m", "firkin", *arguments) as terminal:
        yield terminal


@contextlib.contextmanager
def program_on_terminal(environment: Mapping[str, str], *program: str) -> Iterator[Terminal]:
    """Start a program on a terminal of 90 columns and 25 rows, as the leader of its session."""
    master, slave = os.openpty()
    # The slave stays open here, so that its modes can be looked at when the program has ended.
    with os.fdopen(master, "rb", 0), os.fdopen(slave, "rb", 0):
        set_size(master, 90, 25)
        # Who runs the tests may ignore SIGHUP (nohup); a person's shell does not.
        hearing = ["env", "--default-signal=HUP", "setsid", "--ctty"]
        with Started([*hearing, *program], env=environment, stdin=slave, stdout=slave, stderr=slave) as process:
            yield Terminal(master, process)
