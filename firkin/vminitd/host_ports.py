"""Connecting from a virtual machine to a port of its host over vsock (vsock(7)).

The ports of firkin's own device are the machine's alone. Those of the host's kernel are shared by all of its machines,
so there everything goes to one port, which the host says on the kernel's command line: the first four bytes are then
the wanted port, least significant first, and the host answers with one byte, 0 when somebody listens there.
"""

from __future__ import annotations

import errno
import functools
import os
import socket
import struct

from .kernel_parameters import HOST_PORT, kernel_parameter

HOST_CID = 2

_WANTED = struct.Struct("<I")
_IS_CONNECTED = b"\0"


def connected_blocking(port: int, seconds: float) -> socket.socket:
    """Connect; every later operation of the socket has the same time limit.

    Raises:
        OSError: nobody listens on the port, or nobody answers within `seconds`.
    """
    address, said = host_address(port)
    peer = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
    try:
        peer.settimeout(seconds)
        peer.connect(address)
        if said:
            peer.sendall(said)
            check_answer(peer.recv(1), port)
    except BaseException:
        peer.close()
        raise
    return peer


def host_address(port: int) -> tuple[tuple[int, int], bytes]:
    """Where to connect for a port of the host, and what to say first; an answer comes when anything is said."""
    shared = _shared_port()
    return ((HOST_CID, shared), _WANTED.pack(port)) if shared else ((HOST_CID, port), b"")


def check_answer(answer: bytes, port: int) -> None:
    """Look at what the host answered.

    Raises:
        ConnectionRefusedError: nobody listens on the port.
    """
    if answer != _IS_CONNECTED:
        raise OSError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED), f"port {port} of the host")


@functools.cache
def _shared_port() -> int:
    """0 when there is none."""
    value = kernel_parameter(HOST_PORT)
    return int(value) if value.isdecimal() else 0
