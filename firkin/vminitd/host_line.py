"""The line between a virtual machine and whoever runs it: it tells the time at first, and its end is the VM's.

The host listens on port 1025 and sends one JSON object when the guest has connected; the guest sends one once its
agent listens. Each is a line. The host asks for an end in order by closing its side.
"""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Mapping

import msgspec

from firkin.domain.json_decoding import decoded_json

from .host_ports import connected_blocking

AGENT_PORT = 1024
LINE_PORT = 1025

_LONGEST_GREETING = 4096
_GREETING_SECONDS = 30.0


def opened_line() -> tuple[socket.socket, Mapping[str, str]]:
    """Connect to the host, and set the clock by what it says; tells also the limits that it wants.

    Raises:
        OSError: nobody listens there, or what he says is no greeting.
    """
    try:
        line = connected_blocking(LINE_PORT, _GREETING_SECONDS)
        try:
            greeting = _greeting(line)
            time.clock_settime_ns(time.CLOCK_REALTIME, greeting.time_ns)
            line.settimeout(None)
        except BaseException:
            line.close()
            raise
    except OSError as error:
        raise OSError(error.errno, f"cannot reach the host over vsock: {error}") from error
    return line, greeting.limits


def report(line: socket.socket, phases: Mapping[str, float]) -> None:
    """Tell the host that the agent listens; `phases` are seconds since the kernel's start, by what ended then."""
    line.sendall(msgspec.json.encode({"listening": phases}) + b"\n")


class _Greeting(msgspec.Struct, frozen=True):
    """What the host says first.

    Attributes:
        time_ns: nanoseconds since 1970.
        limits: what all containers together may use, by the file of their control group (cgroup version 2).
    """

    time_ns: int
    limits: dict[str, str] = {}


def _greeting(line: socket.socket) -> _Greeting:
    text = b""
    while not text.endswith(b"\n") and len(text) < _LONGEST_GREETING:
        part = line.recv(_LONGEST_GREETING - len(text))
        if not part:
            break
        text += part
    try:
        return decoded_json(text, _Greeting)
    except msgspec.DecodeError as error:
        raise OSError(errno.EPROTO, f"its greeting cannot be understood ({error})") from error
