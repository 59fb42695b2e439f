"""Reading a bulk stream of the host in a thread, so that it can be called off."""

from __future__ import annotations

import contextlib
import errno
import socket

from firkin.domain.errors import AgentError

from .error_numbers import number_of


class BulkReader:
    """A stream of the host as a blocking file; `cancel` may be called from another thread.

    Attributes:
        done_bytes: bytes read so far.
    """

    def __init__(self, peer: socket.socket) -> None:
        self._peer = peer
        self._cancelled = False
        self.done_bytes = 0

    def __enter__(self) -> BulkReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._peer.close()

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes; none at the end.

        Raises:
            AgentError: the read was called off, or the stream broke.
        """
        buffer = bytearray(size if size > 0 else 1 << 20)
        count = self.readinto(buffer)
        return bytes(memoryview(buffer)[:count])

    def readinto(self, buffer: bytearray | memoryview, /) -> int:
        """Fill `buffer` as far as bytes have arrived; 0 at the end.

        Raises:
            AgentError: the read was called off, or the stream broke.
        """
        try:
            count = self._peer.recv_into(buffer)
        except OSError as error:
            if not self._cancelled:
                raise AgentError("read a stream of the host", "it broke", errno=number_of(error)) from error
            count = 0
        if self._cancelled:
            raise AgentError("read a stream of the host", "the call was cancelled", errno=errno.ECANCELED)
        self.done_bytes += count
        return count

    def cancel(self) -> None:
        """Make the pending and every later read fail."""
        self._cancelled = True
        with contextlib.suppress(OSError):
            self._peer.shutdown(socket.SHUT_RDWR)
