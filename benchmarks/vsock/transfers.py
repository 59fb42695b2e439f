"""What is timed: bytes to the guest, bytes from it, and one byte there and back."""

from __future__ import annotations

import os
import select
import socket
import statistics
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from .machine import COUNT, ECHO, SEND

Dial = Callable[[int], socket.socket]
_PIECE_BYTES = 1 << 20
_ROUND_TRIPS = 100
_PEER_SECONDS = 600.0
"""More than a boot and the largest file take without KVM."""


def hand_over(dial: Dial, file: Path) -> float:
    """Hand the stream a file; bytes a second, until the guest has counted them."""
    with dial(COUNT) as connection, file.open("rb") as opened:
        started = time.perf_counter()
        socket.send_fds(connection, [b"\0"], [opened.fileno()])
        return _counted(connection, file, started)


def send_file(dial: Dial, file: Path) -> float:
    """sendfile(2) to the socket; bytes a second, until the guest has counted them."""
    with dial(COUNT) as connection, file.open("rb") as opened:
        started = time.perf_counter()
        connection.sendfile(opened)
        return _counted(connection, file, started)


def _counted(connection: socket.socket, file: Path, started: float) -> float:
    connection.shutdown(socket.SHUT_WR)
    (count,) = struct.unpack("<Q", connection.recv(8, socket.MSG_WAITALL))
    assert count == file.stat().st_size
    return float(count) / (time.perf_counter() - started)


def receive(dial: Dial, file: Path) -> float:
    """Let the guest send as much as the file has; bytes a second."""
    size = file.stat().st_size
    buffer = bytearray(_PIECE_BYTES)
    with dial(SEND) as connection:
        started = time.perf_counter()
        connection.sendall(struct.pack("<Q", size))
        received = 0
        while count := connection.recv_into(buffer):
            received += count
        assert received == size
        return received / (time.perf_counter() - started)


def round_trips(dial: Dial, file: Path) -> float:
    """One byte there and back, on an open connection; how often in a second."""
    with dial(ECHO) as connection:
        seconds = []
        for _ in range(_ROUND_TRIPS):
            started = time.perf_counter()
            connection.sendall(b"x")
            connection.recv(1)
            seconds.append(time.perf_counter() - started)
        return 1 / statistics.median(seconds)


class PythonPeer:
    """The device that is written in Python, in a process of its own, since it holds the interpreter's lock."""

    def __init__(self, vsock_socket: Path, file: Path) -> None:
        self._size = file.stat().st_size
        script = Path(__file__).with_name("python_device.py")
        self._process = subprocess.Popen(
            [sys.executable, script, vsock_socket, file], bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def __enter__(self) -> Self:
        assert self._line() == b"listening\n"
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def warm_up(self) -> None:
        """Wait until it has sent the file once: it begins by itself."""
        assert int(self._line()) == self._size

    def send_file(self) -> float:
        """Send the file; bytes a second, until the guest has counted them."""
        assert self._process.stdin is not None
        started = time.perf_counter()
        os.write(self._process.stdin.fileno(), b"\n")
        assert int(self._line()) == self._size
        return self._size / (time.perf_counter() - started)

    def _line(self) -> bytes:
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], _PEER_SECONDS)[0]:
            raise TimeoutError(f"the device in Python has said nothing for {_PEER_SECONDS:g} s")
        return self._process.stdout.readline()
