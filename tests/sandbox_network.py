"""Sockets in the network of a sandbox, made by this process."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import threading
from pathlib import Path

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def listening_in(socket_directory: Path, port: int, address: str = "127.0.0.1") -> socket.socket:
    """Listen in the network of the sandbox whose agent listens in `socket_directory`.

    A socket belongs to the network of the thread that made it, whichever thread uses it later.
    """
    made: list[socket.socket | OSError] = []
    namespace = os.open(f"/proc/{agent_pid(socket_directory)}/ns/net", os.O_RDONLY)

    def make() -> None:
        try:
            if _libc.setns(namespace, _CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            made.append(socket.create_server((address, port), family=family, backlog=512))
        except OSError as error:
            made.append(error)

    # The thread ends in the sandbox's network; this one stays in its own.
    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    os.close(namespace)
    (result,) = made
    if isinstance(result, OSError):
        raise result
    result.setblocking(False)
    return result


def agent_pid(socket_directory: Path) -> int:
    """The guest agent that listens there, by this process's own numbers."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
        peer.connect(str(socket_directory / "guest-1024.sock"))
        credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid: int = struct.unpack("3i", credentials)[0]
    return pid
