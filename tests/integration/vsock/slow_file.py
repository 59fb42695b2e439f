"""A file whose disk hangs for as long as a test likes: a FUSE filesystem that consists of it, served here."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import stat
import struct
import threading
from pathlib import Path
from typing import NamedTuple, Self

from firkin.vminitd.filesystem.syscalls import mount, unmount

from .rings import DEADLINE_SECONDS

# linux/fuse.h, version 7.31.
_GETATTR, _OPEN, _READ, _RELEASE, _FLUSH, _INIT = 3, 14, 15, 18, 25, 26
_WITHOUT_REPLY = (2, 36, 42)  # FORGET, INTERRUPT, BATCH_FORGET
_MINOR_VERSION = 31
_DIRECT_IO = 1
_REQUEST_HEADER = struct.Struct("<IIQQIIII")
_REPLY_HEADER = struct.Struct("<IiQ")
_REQUEST_BYTES = 1 << 20
MNT_DETACH = 2


class Request(NamedTuple):
    """What the kernel asks for."""

    operation: int
    number: int
    body: bytes


class SlowFile:
    """A regular file with `data`; while it hangs, who reads or closes it waits.

    Attributes:
        file: it, open for reading.
    """

    def __init__(self, directory: Path, data: bytes) -> None:
        self._data = data
        self._hung: list[Request] | None = None
        self._failure = 0
        self._changed = threading.Condition()
        self._connection = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
        self._end = os.eventfd(0, os.EFD_CLOEXEC)
        self._server = threading.Thread(target=self._serve)
        path = directory / f"slow-{self._connection}"
        path.touch()
        options = f"fd={self._connection},rootmode={stat.S_IFREG:o},user_id={os.getuid()},group_id={os.getgid()}"
        mount("firkin-test", str(path), "fuse", 0, options)
        self._server.start()
        try:
            self.file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        finally:
            # What is open stays, also when nobody is left to unmount it.
            unmount(str(path), MNT_DETACH)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.let_go()
        os.close(self.file)
        os.eventfd_write(self._end, 1)
        self._server.join(DEADLINE_SECONDS)
        # Whoever still waits is told that the filesystem has gone.
        os.close(self._connection)
        os.close(self._end)

    def hang(self) -> None:
        """From now on, until `let_go`."""
        with self._changed:
            self._hung = []

    def let_go(self, failure: int = 0) -> None:
        """Answer all that hangs and what comes later; `failure` is the errno of reads, if they are to fail."""
        with self._changed:
            hung, self._hung, self._failure = self._hung or [], None, failure
        for request in hung:
            self._answer(request)

    def wait_until_it_hangs(self, count: int = 1) -> None:
        """Wait until so many wait for it."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self._hung or []) >= count, DEADLINE_SECONDS)

    def _serve(self) -> None:
        while self._end not in select.select([self._connection, self._end], [], [])[0]:
            try:
                data = os.read(self._connection, _REQUEST_BYTES)
            except (BlockingIOError, FileNotFoundError):
                continue  # whoever asked was interrupted
            except OSError as error:
                if error.errno in (errno.ENODEV, errno.ECONNABORTED):
                    return  # nobody has it any more; the second when that came amid a request
                raise
            _, operation, number, *_ = _REQUEST_HEADER.unpack_from(data)
            request = Request(operation, number, data[_REQUEST_HEADER.size :])
            with self._changed:
                hangs = self._hung is not None and operation in (_READ, _FLUSH)
                if self._hung is not None and hangs:
                    self._hung.append(request)
                    self._changed.notify_all()
            if not hangs and operation not in _WITHOUT_REPLY:
                self._answer(request)

    def _answer(self, request: Request) -> None:
        error, reply = self._reply(request)
        header = _REPLY_HEADER.pack(_REPLY_HEADER.size + len(reply), -error, request.number)
        # Unless nobody waits for it any more.
        with contextlib.suppress(FileNotFoundError):
            os.writev(self._connection, (header, reply))

    def _reply(self, request: Request) -> tuple[int, bytes]:
        if request.operation == _INIT:
            return 0, struct.pack("<IIIIHHIIHHI7I", 7, _MINOR_VERSION, 1 << 17, 0, 16, 12, 1 << 17, *[0] * 11)
        if request.operation == _GETATTR:
            return 0, struct.pack("<QII", 0, 0, 0) + self._attributes()
        if request.operation == _OPEN:
            return 0, struct.pack("<QII", 0, _DIRECT_IO, 0)
        if request.operation == _READ:
            _, offset, size = struct.unpack_from("<QQI", request.body)
            return (self._failure, b"") if self._failure else (0, self._data[offset : offset + size])
        if request.operation in (_FLUSH, _RELEASE):
            return 0, b""
        return errno.ENOSYS, b""

    def _attributes(self) -> bytes:
        size = len(self._data)
        mode = stat.S_IFREG | 0o600
        return struct.pack("<6Q10I", 1, size, -(-size // 512), 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)
