"""Moving bytes between two non-blocking descriptors, one bounded step at a time."""

from __future__ import annotations

import array
import contextlib
import enum
import errno
import fcntl
import os
import select
import termios
from typing import Protocol

STEP_BYTES = 256 * 1024
_COPY_BYTES = 64 * 1024


class Step(enum.Enum):
    """What one step came to."""

    MOVED = enum.auto()
    BLOCKED = enum.auto()
    """The source is empty or the sink full: which of them is known by which was ready before the step."""
    ENDED = enum.auto()
    """The source has no more."""
    BROKEN = enum.auto()
    """Nobody reads the sink any more, or the source broke."""


class Transfer(Protocol):
    """One way of moving bytes from a source to a sink."""

    moved_bytes: int

    def step(self) -> Step:
        """Move at most `STEP_BYTES`, without blocking.

        Raises:
            OSError: this way does not work for these descriptors (EINVAL, ENOSYS); nothing was moved.
        """
        ...

    @property
    def has_pending(self) -> bool:
        """True while bytes were taken from the source that the sink did not take yet."""
        ...


class SpliceTransfer:
    """splice(2): the bytes never enter the agent. One of the two must be a pipe."""

    has_pending = False

    def __init__(self, source: int, sink: int) -> None:
        self._source = source
        self._sink = sink
        self.moved_bytes = 0

    def step(self) -> Step:
        try:
            count = os.splice(self._source, self._sink, STEP_BYTES, flags=os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK)
        except BlockingIOError:
            return Step.BLOCKED
        except (BrokenPipeError, ConnectionError):
            return Step.BROKEN
        self.moved_bytes += count
        return Step.MOVED if count else Step.ENDED


class CopyTransfer:
    """read(2) and write(2), for descriptors that cannot be spliced."""

    def __init__(self, source: int, sink: int) -> None:
        self._source = source
        self._sink = sink
        self._pending = memoryview(b"")
        self.moved_bytes = 0

    @property
    def has_pending(self) -> bool:
        return bool(self._pending)

    def step(self) -> Step:
        try:
            if not self._pending:
                data = os.read(self._source, _COPY_BYTES)
                if not data:
                    return Step.ENDED
                self._pending = memoryview(data)
            count = os.write(self._sink, self._pending)
        except BlockingIOError:
            return Step.BLOCKED
        except (BrokenPipeError, ConnectionError):
            return Step.BROKEN
        self._pending = self._pending[count:]
        self.moved_bytes += count
        return Step.MOVED


class TerminalTransfer(CopyTransfer):
    """read(2) and write(2) where one side is a terminal: EIO is the end, nobody has its other side open."""

    def step(self) -> Step:
        try:
            return super().step()
        except OSError as error:
            if error.errno == errno.EIO:
                return Step.ENDED
            raise


class DroppingTransfer:
    """Reads a terminal's output to its end, for nobody."""

    has_pending = False

    def __init__(self, source: int) -> None:
        self._source = source
        self.moved_bytes = 0

    def step(self) -> Step:
        try:
            data = os.read(self._source, _COPY_BYTES)
        except BlockingIOError:
            return Step.BLOCKED
        except OSError:
            return Step.ENDED
        self.moved_bytes += len(data)
        return Step.MOVED if data else Step.ENDED


def cannot_splice(error: OSError) -> bool:
    """True when `error` says that splice(2) does not serve this pair of descriptors."""
    return error.errno in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)


def readable_bytes(descriptor: int) -> int:
    """How much of a pipe or socket can be read without waiting."""
    count = array.array("i", [0])
    try:
        fcntl.ioctl(descriptor, termios.FIONREAD, count)
    except OSError:
        return 0
    return count[0]


def is_readable(descriptor: int) -> bool:
    """Whether a terminal or socket has anything, its end included.

    Of a terminal also what the kernel has not put into its reading buffer yet.
    """
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    return any(events & select.POLLIN for _, events in poller.poll(0))


def enlarge_pipe(descriptor: int, wanted_bytes: int = 1024 * 1024) -> None:
    """Ask for a larger pipe; the kernel's limit for a user may refuse it, then it stays as it is."""
    with contextlib.suppress(OSError):
        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, wanted_bytes)
