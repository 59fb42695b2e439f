"""`firkin`, and `python -m firkin`."""

from __future__ import annotations

import os
import signal
import sys


def _hold_standard_streams() -> None:
    """Open /dev/null for a standard stream that was closed, lest the next file or socket become it."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    # The interpreter made no objects for those that were closed; standard input is left as it found it.
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
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
