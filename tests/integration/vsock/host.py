"""The host's side of the streams: programs with unix sockets."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .rings import DEADLINE_SECONDS


def host_listener(directory: Path, port: int) -> socket.socket:
    """What the guest reaches at this port of the host's."""
    listener = socket.socket(socket.AF_UNIX)
    listener.settimeout(DEADLINE_SECONDS)
    listener.bind(str(directory / f"host-{port}.sock"))
    listener.listen()
    return listener


def accepted(listener: socket.socket) -> socket.socket:
    connection, _ = listener.accept()
    connection.settimeout(DEADLINE_SECONDS)
    return connection


def host_connection(directory: Path, port: int) -> socket.socket:
    """A connection to this port of the guest's."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(DEADLINE_SECONDS)
    connection.connect(str(directory / f"guest-{port}.sock"))
    return connection


def hand_over_zeros(connection: socket.socket, size: int) -> None:
    """Hand the stream a file of so many zeros, in memory: no turn of it waits for a disk, or for a reader."""
    file = os.memfd_create("zeros", os.MFD_CLOEXEC)
    try:
        os.truncate(file, size)
        socket.send_fds(connection, [b"\0"], [file])
    finally:
        os.close(file)


def read_to_end(connection: socket.socket) -> bytes:
    pieces = []
    while piece := connection.recv(1 << 20):
        pieces.append(piece)
    return b"".join(pieces)


@contextmanager
def sending(connection: socket.socket, data: bytes) -> Iterator[None]:
    """Send it all in a thread, and end the output."""

    def send() -> None:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)

    thread = threading.Thread(target=send)
    thread.start()
    yield
    thread.join(DEADLINE_SECONDS)
    assert not thread.is_alive()


@contextmanager
def reading(connection: socket.socket) -> Iterator[list[bytes]]:
    """Read to the end in a thread; the list has it all once the block is left."""
    data: list[bytes] = []
    thread = threading.Thread(target=lambda: data.append(read_to_end(connection)))
    thread.start()
    yield data
    thread.join(DEADLINE_SECONDS)
    assert not thread.is_alive()
