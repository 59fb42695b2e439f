"""Keeps logs in files: the newest half of what may be kept, and the half before it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from firkin.domain.ids import ContainerId, PodId
from firkin.domain.output_log import LogEntry, OutputLog

from .lines import decoded, encoded

_UNBOUNDED = 2**62
_SMALLEST_BYTES = 4096
_ATTEMPTS = 100


class FileLog:
    """Keeps the port KeptLog: appends to a file, and begins a new one when it is half as large as both may be."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        """Touch nothing yet; `max_bytes` are those on the disk, with what the format adds to the output."""
        self._path = path
        self._half_bytes = max(max_bytes // 2, _SMALLEST_BYTES)
        self._descriptor = -1
        self._size = 0
        self._lost_bytes = 0

    def append(self, stream: str, data: bytes, unix_seconds: float) -> None:
        """Keep output; on a full disk it is lost, and told of later (see `firkin.ports.log_keeper`)."""
        # Of output that is nothing but newlines, the format makes 40 times as much.
        piece_bytes = self._half_bytes // 64
        pieces = [data] if len(data) <= piece_bytes else _pieces(data, piece_bytes)
        for piece in pieces:
            try:
                self._write(encoded(stream, piece, unix_seconds, self._lost_bytes))
            except OSError:
                self._lost_bytes += len(piece)
            else:
                self._lost_bytes = 0

    def _write(self, lines: bytes) -> None:
        if self._descriptor < 0:
            self._open()
        if self._size and self._size + len(lines) > self._half_bytes:
            self.close()
            os.replace(self._path, older(self._path))
            self._open()
        written = os.write(self._descriptor, lines)
        self._size += written
        if written < len(lines):
            # The disk is full: what is there of the line is taken back, so that the next one is one.
            os.ftruncate(self._descriptor, self._size - written)
            self._size -= written
            raise OSError("the log was written in part only")

    def _open(self) -> None:
        self._path.parent.mkdir(mode=0o700, exist_ok=True)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self._descriptor = os.open(self._path, flags, 0o600)
        self._size = os.fstat(self._descriptor).st_size

    def close(self) -> None:
        """Close the file; twice is fine."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class FileLogKeeper:
    """Keeps the port LogKeeper with `<pods>/<pod>/logs/<container>.log` and, beside it, the older half."""

    def __init__(self, pods: Path) -> None:
        """Touch nothing yet; a pod's directory is made by somebody else."""
        self._pods = pods

    def opened(self, pod_id: PodId, container_id: ContainerId, max_bytes: int) -> FileLog:
        """The log of a container; its file is made with its first output."""
        return FileLog(self._path(pod_id, container_id), max_bytes)

    def entries(
        self, pod_id: PodId, container_id: ContainerId, since: float | None = None, tail: int | None = None
    ) -> Sequence[LogEntry]:
        """What the files hold; see `firkin.ports.log_keeper`."""
        log = OutputLog(_UNBOUNDED)
        for entry in decoded(_lines(self._path(pod_id, container_id))):
            log.append(entry.stream, entry.data, entry.unix_seconds, entry.lost_bytes)
        return log.entries(since, tail)

    def _path(self, pod_id: PodId, container_id: ContainerId) -> Path:
        return self._pods / pod_id / "logs" / f"{container_id}.log"


def older(path: Path) -> Path:
    """Where the half before the newest one is."""
    return path.with_name(f"{path.name}.1")


def _lines(path: Path) -> Iterator[bytes]:
    with contextlib.ExitStack() as stack:
        for file in _opened(path, stack):
            yield from file


def _opened(path: Path, stack: contextlib.ExitStack) -> list[BinaryIO]:
    """Both halves, the older one first, as they were at one moment: the writer may be changing them."""
    files: list[BinaryIO] = []
    for _ in range(_ATTEMPTS):
        newest, before = _file(path, stack), _file(older(path), stack)
        files = [file for file in (before, newest) if file is not None]
        if newest is None or _is_still(path, newest):
            break
    return files


def _file(path: Path, stack: contextlib.ExitStack) -> BinaryIO | None:
    try:
        return stack.enter_context(path.open("rb"))
    except FileNotFoundError:
        return None


def _is_still(path: Path, file: BinaryIO) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def _pieces(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]
