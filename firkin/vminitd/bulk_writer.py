"""Writing a bulk stream to the host in a thread, so that it can be called off."""

from __future__ import annotations

import contextlib
import errno
import socket

from firkin.domain.errors import AgentError

from .error_numbers import number_of

_OPERATION = "write a stream to the host"


class BulkWriter:
    """A stream to the host; `cancel` may be called from another thread.

    Attributes:
        done_bytes: bytes written so far.
    """

    def __init__(self, peer: socket.socket) -> None:
        self._peer = peer
        self._cancelled = False
        self.done_bytes = 0

    def __enter__(self) -> BulkWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._peer.close()

    def write(self, data: bytes) -> None:
        """Hand all of `data` on.

        Raises:
            AgentError: the write was called off, or the host does not read.
        """
        try:
            self._peer.sendall(data)
        except OSError as error:
            if self._cancelled:
                raise AgentError(_OPERATION, "the call was cancelled", errno=errno.ECANCELED) from error
            raise AgentError(_OPERATION, "the host stopped reading", errno=number_of(error)) from error
        self.done_bytes += len(data)

    def end(self) -> None:
        """Tell the host that this is all; it may be gone."""
        with contextlib.suppress(OSError):
            self._peer.shutdown(socket.SHUT_WR)

    def cancel(self) -> None:
        """Make the pending and every later write fail."""
        self._cancelled = True
        with contextlib.suppress(OSError):
            self._peer.shutdown(socket.SHUT_RDWR)
