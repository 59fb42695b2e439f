"""The console socket of an OCI runtime (runc, docs/terminals.md): a terminal's master arrives on it as a descriptor."""

from __future__ import annotations

import array
import contextlib
import os
import socket
from collections.abc import Iterator

from firkin.domain.errors import RuntimeFailed

from .error_numbers import number_of

_NAME_BYTES = 4096
_DESCRIPTORS = 1
_ANSWER_SECONDS = 5.0


class ConsoleSocket:
    """A socket on which the runtime leaves the master of the terminal that it made."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener

    def master(self) -> int:
        """Take the master, non-blocking; to be called once the runtime has ended well, so that it waits already.

        Raises:
            RuntimeFailed: the runtime sent none.
        """
        try:
            connection, _ = self._listener.accept()
            with connection:
                connection.settimeout(_ANSWER_SECONDS)
                _, ancillary, _, _ = connection.recvmsg(_NAME_BYTES, socket.CMSG_SPACE(_DESCRIPTORS * 4))
        except OSError as error:
            reason = f"it handed over no terminal: {error}"
            raise RuntimeFailed("the OCI runtime", reason, errno=number_of(error)) from error
        for level, kind, data in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                (descriptor,) = array.array("i", data[:4])
                os.set_inheritable(descriptor, False)
                os.set_blocking(descriptor, False)
                return int(descriptor)
        raise RuntimeFailed("the OCI runtime", "it handed over no terminal")


@contextlib.contextmanager
def console_socket(path: str) -> Iterator[ConsoleSocket]:
    """Listen at `path` while the runtime runs; what nobody took is closed, which hangs the terminal up."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(path)
        try:
            listener.listen(1)
            listener.setblocking(False)
            yield ConsoleSocket(listener)
        finally:
            os.unlink(path)
