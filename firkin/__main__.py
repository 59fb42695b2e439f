"""`firkin`, and `python -m firkin`."""

from __future__ import annotations

import io
import os
import signal
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class _StandardOutput(io.FileIO):
    """Names itself where it cannot be written: that something has no space left tells nobody what."""

    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            raise OSError(error.errno, error.strerror, "standard output") from error


def _hold_standard_streams() -> None:
    """Open /dev/null for a standard stream that was closed, lest the next file or socket become it."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    # The interpreter made no objects for those that were closed; standard input is left as it found it.
    output = io.BufferedWriter(_StandardOutput(1, "w", closefd=False))
    usual = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stdout = io.TextIOWrapper(output, usual.encoding, usual.errors, line_buffering=bool(usual.line_buffering))
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115


def main() -> None:
    """Run the command line of this process and exit with its code."""
    # Ctrl-C while modules load, or while the process exits, ends it without a word: there is nothing to undo.
    interrupt = signal.getsignal(signal.SIGINT)
    is_usual = interrupt is signal.default_int_handler
    if is_usual:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    _hold_standard_streams()
    from firkin.adapters.cli import run_program
    from firkin.command_services import command_services

    services = command_services()
    if is_usual:
        signal.signal(signal.SIGINT, interrupt)
    code = run_program(sys.argv[1:], services)
    if is_usual:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(code)


if __name__ == "__main__":
    main()
