"""The host's end of the line to a machine's init (see `firkin.vminitd.host_line`): time, boot report, end in order."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from firkin.domain.errors import BootFailed
from firkin.domain.json_decoding import decoded_json

LINE_PORT = 1025
_LONGEST_REPORT = 64 * 1024
_BACKLOG = 4


class _Report(msgspec.Struct, frozen=True):
    listening: Mapping[str, float]


class GuestLine:
    """Listens until the machine has connected, and is its lifeline from then on; `close` must be called.

    Attributes:
        phases: once the agent listens, seconds since the kernel's start by what ended then.
    """

    def __init__(self, directory: Path, limits: Mapping[str, str]) -> None:
        """Listen; `limits` are those of all containers together, by files of a control group of version 2.

        Raises:
            BootFailed: nothing can listen in `directory`.
        """
        self._loop = asyncio.get_running_loop()
        self._limits = dict(limits)
        self._on_listening: Callable[[], None] | None = None
        self._path = directory / f"host-{LINE_PORT}.sock"
        self._peer: socket.socket | None = None
        self._report = b""
        self.phases: Mapping[str, float] | None = None
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._listener.bind(str(self._path))
            self._listener.listen(_BACKLOG)
        except OSError as error:
            self._listener.close()
            raise BootFailed("listen for the guest", f"{self._path}: {error.strerror}") from error
        self._listener.setblocking(False)
        self._loop.add_reader(self._listener, self._accept)

    def when_listening(self, callback: Callable[[], None]) -> None:
        """Call `callback` once the machine's agent listens."""
        self._on_listening = callback

    def _accept(self) -> None:
        try:
            peer, _ = self._listener.accept()
        except OSError:
            return
        # One machine has one init: whatever else connects later comes from inside a container.
        self._stop_listening()
        peer.setblocking(False)
        self._peer = peer
        with contextlib.suppress(OSError):
            peer.send(msgspec.json.encode({"time_ns": time.time_ns(), "limits": self._limits}) + b"\n")
        self._loop.add_reader(peer, self._read)

    def _read(self) -> None:
        assert self._peer is not None
        try:
            data = self._peer.recv(_LONGEST_REPORT)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._report += data
        if not data or len(self._report) > _LONGEST_REPORT:
            self._loop.remove_reader(self._peer)
        elif self._report.endswith(b"\n"):
            self._loop.remove_reader(self._peer)
            self._take_report()

    def _take_report(self) -> None:
        try:
            self.phases = decoded_json(self._report, _Report).listening
        except msgspec.DecodeError:
            return
        if self._on_listening is not None:
            self._on_listening()

    def _stop_listening(self) -> None:
        if self._listener.fileno() >= 0:
            self._loop.remove_reader(self._listener)
            self._listener.close()
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path)

    @property
    def is_connected(self) -> bool:
        """Whether there is somebody who would understand its end."""
        return self._peer is not None

    def close(self) -> None:
        """Hang up, upon which the machine ends in order; twice is fine."""
        self._stop_listening()
        if self._peer is not None and self._peer.fileno() >= 0:
            self._loop.remove_reader(self._peer)
            self._peer.close()
