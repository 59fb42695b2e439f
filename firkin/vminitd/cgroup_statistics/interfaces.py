"""Network interfaces (proc_pid_net(5), /proc/net/dev)."""

from __future__ import annotations

from firkin.domain.statistics import InterfaceStatistics

_RECEIVED_BYTES, _RECEIVED_PACKETS, _RECEIVED_ERRORS = 0, 1, 2
_SENT_BYTES, _SENT_PACKETS, _SENT_ERRORS = 8, 9, 10


def read_interfaces(path: str = "/proc/self/net/dev") -> tuple[InterfaceStatistics, ...]:
    """All interfaces of the sandbox but the loopback."""
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            lines = file.read().splitlines()[2:]
    except OSError:
        return ()
    found = []
    for line in lines:
        name, _, counters = line.partition(":")
        numbers = [int(text) for text in counters.split() if text.isdigit()]
        if name.strip() != "lo" and len(numbers) > _SENT_ERRORS:
            found.append(
                InterfaceStatistics(
                    name.strip(),
                    numbers[_RECEIVED_BYTES],
                    numbers[_SENT_BYTES],
                    numbers[_RECEIVED_PACKETS],
                    numbers[_SENT_PACKETS],
                    numbers[_RECEIVED_ERRORS],
                    numbers[_SENT_ERRORS],
                )
            )
    return tuple(found)
