"""What a sandbox says on its console: the tail is kept, everything may be written to a log."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from firkin.domain.errors import BootFailed

_TAIL_BYTES = 16 * 1024
_READ_BYTES = 64 * 1024


class Console:
    """Reads a pipe on the running loop until `close`."""

    def __init__(self, boot_log: Path | None) -> None:
        """Open the log for appending, when there is one, and make the pipe.

        Raises:
            BootFailed: the log cannot be opened.
        """
        self._tail = bytearray()
        self._log: int | None = None
        if boot_log is not None:
            try:
                self._log = os.open(boot_log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except OSError as error:
                raise BootFailed("open the boot log", f"{boot_log}: {error.strerror}") from error
        self._reading: int | None
        self._reading, self.writing = os.pipe()
        os.set_blocking(self._reading, False)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._reading, self._read)

    @property
    def tail(self) -> str:
        """The last lines, at most 16 KiB."""
        return self._tail.decode(errors="replace").strip()

    def log(self, line: str) -> None:
        """Write a line into the log, when there is one."""
        self._write_log(f"{line}\n".encode())

    def close_writing(self) -> None:
        """Give up this process's copy of the writing end, once the sandbox has its own."""
        if self.writing >= 0:
            os.close(self.writing)
            self.writing = -1

    def drain(self) -> None:
        """Read what has arrived."""
        while self._reading is not None and self._read():
            pass

    def drop_last_line(self, line: str) -> bool:
        """Take `line` back if it is the last one of the tail."""
        before, found, after = self._tail.rpartition(line.encode())
        if not found or after.strip():
            return False
        self._tail = before
        return True

    def close(self) -> None:
        """Stop reading; twice is fine."""
        self.close_writing()
        self._stop_reading()
        if self._log is not None:
            os.close(self._log)
            self._log = None

    def _stop_reading(self) -> None:
        if self._reading is not None:
            self._loop.remove_reader(self._reading)
            os.close(self._reading)
            self._reading = None

    def _read(self) -> bool:
        """Read once; False when there is nothing more for now."""
        if self._reading is None:
            return False
        try:
            data = os.read(self._reading, _READ_BYTES)
        except BlockingIOError:
            return False
        if not data:
            self._stop_reading()
            return False
        self._tail += data
        del self._tail[:-_TAIL_BYTES]
        self._write_log(data)
        return True

    def _write_log(self, data: bytes) -> None:
        if self._log is None:
            return
        try:
            os.write(self._log, data)
        except OSError as error:
            self._tail += f"\n(the boot log ends here: {error.strerror})\n".encode()
            os.close(self._log)
            self._log = None
