"""What goes into an image, by its path in the guest, and whether it is still as it was on the host."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec


class GuestFile(msgspec.Struct, frozen=True):
    """One entry of an image; exactly one of `source`, `content` and `link` is set, none for a directory.

    Attributes:
        source: file of the host whose bytes it has.
        is_bytecode: of `source`, a Python module, it has the bytecode instead.
        content: its bytes.
        link: target of a symlink.
        is_executable: mode 0755 rather than 0644.
    """

    source: Path | None = None
    content: bytes | None = None
    link: str | None = None
    is_executable: bool = False
    is_bytecode: bool = False

    @property
    def mode(self) -> int:
        """Type and permissions, as in st_mode."""
        if self.link is not None:
            return stat.S_IFLNK | 0o777
        if self.source is None and self.content is None:
            return stat.S_IFDIR | 0o755
        return stat.S_IFREG | (0o755 if self.is_executable else 0o644)

    def read(self) -> bytes:
        """The bytes of a file, the target of a symlink, nothing of a directory."""
        if self.link is not None:
            return os.fsencode(self.link)
        if self.source is not None:
            return self.source.read_bytes()
        return self.content or b""


class GuestTree:
    """The entries of an image by path, without a leading slash; parents are made as they are needed.

    Attributes:
        looked_at: every file and directory of the host that decided what is in it.
    """

    def __init__(self) -> None:
        self._entries: dict[str, GuestFile] = {}
        self.looked_at: set[Path] = set()

    def add(self, path: str, file: GuestFile) -> None:
        """Put an entry at `path`, in place of another one."""
        path = path.strip("/")
        parent = path.rpartition("/")[0]
        if parent and parent not in self._entries:
            self.add(parent, GuestFile())
        self._entries[path] = file
        if file.source is not None:
            self.looked_at.add(file.source)

    def __contains__(self, path: str) -> bool:
        return path.strip("/") in self._entries

    def __iter__(self) -> Iterator[tuple[str, GuestFile]]:
        """Entries in order of their paths, parents before what is in them."""
        return iter(sorted(self._entries.items()))

    def sources(self) -> list[Path]:
        """The host's files whose bytes are in it."""
        return [file.source for _, file in self if file.source is not None]

    def digest(self, *further: str) -> str:
        """SHA-256 of all paths, modes and bytes (of modules their sources), and of `further`."""
        whole = hashlib.sha256("\0".join(further).encode())
        for path, file in self:
            whole.update(f"{path}\0{file.mode:o}\0".encode())
            whole.update(hashlib.sha256(file.read()).digest())
        return whole.hexdigest()


def fingerprint(paths: Iterable[Path]) -> str:
    """Changes whenever one of the host's files changes, or a directory gets or loses an entry."""
    seen = hashlib.sha256()
    for path in sorted(paths):
        try:
            status = os.stat(path)
        except OSError:
            seen.update(f"{path}\0absent\0".encode())
            continue
        seen.update(f"{path}\0{status.st_mode:o} {status.st_size} {status.st_mtime_ns}\0".encode())
    return seen.hexdigest()
