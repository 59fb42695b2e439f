"""Signal numbers of Linux (signal(7)), whatever system asks."""

from __future__ import annotations

import re

SIGTERM = 15
SIGKILL = 9
SIGNAL_MAXIMUM = 64
_REAL_TIME_MINIMUM = 34  # the C library keeps 32 and 33 for itself

_NAMES = (
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM",
    "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO",
    "PWR", "SYS",
)  # fmt: skip
_NUMBERS = {name: number for number, name in enumerate(_NAMES, 1)} | {
    "IOT": 6, "CLD": 17, "POLL": 29, "RTMIN": _REAL_TIME_MINIMUM, "RTMAX": SIGNAL_MAXIMUM,
}  # fmt: skip
_REAL_TIME = re.compile(r"RT(MIN\+|MAX-)([0-9]{1,2})", re.ASCII)


def signal_number(text: str) -> int | None:
    """Read `SIGTERM`, `term`, `15`, `SIGRTMIN+3` or `RTMAX-1`; None when it is no signal."""
    name = text.strip().upper()
    if name.isascii() and name.isdigit() and len(name) <= 2:
        number: int | None = int(name)
    else:
        name = name.removeprefix("SIG")
        number = _NUMBERS.get(name) or _real_time_number(name)
    return number if number is not None and 1 <= number <= SIGNAL_MAXIMUM else None


def _real_time_number(name: str) -> int | None:
    match = _REAL_TIME.fullmatch(name)
    if match is None:
        return None
    number = _REAL_TIME_MINIMUM + int(match[2]) if match[1] == "MIN+" else SIGNAL_MAXIMUM - int(match[2])
    return number if number >= _REAL_TIME_MINIMUM else None
