"""The agent's end of a process's terminal."""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import termios

from firkin.domain.terminal import TerminalSize

from .relays import Relay, input_relay, terminal_output_relay


class Terminal:
    """The master of a pseudo terminal, from the process's start until the terminal is hung up.

    The relays have descriptors of their own, so that one that ends does not hang the terminal up for the other.
    """

    def __init__(self, master: int) -> None:
        """Own `master`."""
        self._master = master

    def resize(self, size: TerminalSize) -> None:
        """Set the size; the foreground process group gets SIGWINCH. Nothing happens once it is hung up."""
        if self._master >= 0:
            fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", size.rows, size.columns, 0, 0))

    def input_from(self, peer: socket.socket) -> Relay:
        """Hand what the host sends to the process. The end of input is not told: a terminal has none."""
        return input_relay(peer, os.dup(self._master), splices=False)

    def output_to(self, peer: socket.socket | None) -> Relay:
        """Hand what the process writes to the host, or drop it."""
        return terminal_output_relay(os.dup(self._master), peer)

    def close(self) -> None:
        """Take no part in it any more; twice is fine."""
        if self._master >= 0:
            os.close(self._master)
            self._master = -1
