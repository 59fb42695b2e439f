"""The blobs of the image directory: whole files, each under the digest of its bytes."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path

from firkin.domain.digest import Digest
from firkin.domain.errors import BlobCorrupt, BlobMissing

from .failures import translated

DOCUMENT_MAX_BYTES = 4 * 2**20
PARTIAL = ".partial-"
_CHUNK_BYTES = 2**20
_DIGEST = re.compile(rb"sha256:[0-9a-f]{64}")


class Blobs:
    """Whoever adds blobs holds a share until something refers to them; whoever removes some holds them alone."""

    def __init__(self, directory: Path) -> None:
        """`directory` is that of the layout."""
        self._layout = directory
        self._directory = directory / "blobs" / "sha256"

    @contextlib.contextmanager
    def shared(self) -> Iterator[None]:
        """Hold off removals, waiting for one that is under way."""
        with self._locked(fcntl.LOCK_SH):
            yield

    @contextlib.contextmanager
    def held_alone(self) -> Iterator[bool]:
        """True when nobody else adds or removes blobs."""
        try:
            with self._locked(fcntl.LOCK_EX | fcntl.LOCK_NB):
                yield True
        except BlockingIOError:
            yield False

    @contextlib.contextmanager
    def _locked(self, kind: int) -> Iterator[None]:
        directory_fd = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(directory_fd, kind)
            yield
        finally:
            os.close(directory_fd)

    def made(self) -> None:
        """Make the directories."""
        for directory in (self._layout, self._directory.parent, self._directory):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def path(self, digest: Digest) -> Path:
        """Where a blob is, or would be."""
        return self._directory / digest.hex

    def size(self, digest: Digest) -> int | None:
        """The size of a blob; None when it is not there."""
        try:
            return self.path(digest).stat().st_size
        except FileNotFoundError:
            return None

    def document(self, digest: Digest, reference: str) -> bytes:
        """Read a blob that is a document, and check its digest.

        Raises:
            BlobMissing, BlobCorrupt: it is absent, another one, or too long.
        """
        try:
            with self.path(digest).open("rb") as file:
                data = file.read(DOCUMENT_MAX_BYTES + 1)
        except FileNotFoundError as error:
            raise BlobMissing(reference, digest) from error
        if len(data) > DOCUMENT_MAX_BYTES or (actual := Digest.of(data)) != digest:
            raise BlobCorrupt(digest, "too many bytes" if len(data) > DOCUMENT_MAX_BYTES else actual)
        return data

    def add_file(self, source: Path, digest: Digest, size: int, reference: str) -> None:
        """Copy a file, unless it is here already, undamaged.

        Raises:
            BlobMissing, BlobCorrupt: it is not there, or not what the digest says; nothing of it is kept.
        """
        if self.size(digest) == size and self._is_sound(digest):
            return
        try:
            with source.open("rb", buffering=0) as file:
                self._add(iter(lambda: file.read(_CHUNK_BYTES), b""), digest)
        except FileNotFoundError as error:
            raise BlobMissing(reference, digest) from error

    def add_document(self, data: bytes, digest: Digest) -> None:
        """Write a document, unless it is here already.

        Raises:
            BlobCorrupt: it is not what the digest says.
        """
        if self.size(digest) != len(data) or not self._is_sound(digest):
            self._add([data], digest)

    def _is_sound(self, digest: Digest) -> bool:
        with self.path(digest).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == digest.hex

    def _add(self, chunks: Iterable[bytes], digest: Digest) -> None:
        partial = self._layout / f"{PARTIAL}{secrets.token_hex(8)}"
        actual = hashlib.sha256()
        with translated(self._layout):
            file = partial.open("xb", buffering=0)
        try:
            with file:
                for chunk in chunks:
                    actual.update(chunk)
                    with translated(self._layout):
                        _write_all(file.fileno(), chunk)
                with translated(self._layout):
                    os.fsync(file.fileno())
            if actual.hexdigest() != digest.hex:
                raise BlobCorrupt(digest, f"sha256:{actual.hexdigest()}")
            partial.rename(self.path(digest))
        finally:
            partial.unlink(missing_ok=True)

    def digests(self) -> Iterator[Digest]:
        """All blobs there are."""
        with contextlib.suppress(FileNotFoundError):
            for name in sorted(os.listdir(self._directory)):
                if _DIGEST.fullmatch(b"sha256:" + os.fsencode(name)):
                    yield Digest(f"sha256:{name}")

    def partials(self) -> list[Path]:
        """What is being written, or was when its writer died."""
        with contextlib.suppress(FileNotFoundError):
            return [path for path in self._layout.iterdir() if path.name.startswith(PARTIAL)]
        return []

    def reachable(self, top: bytes) -> set[Digest]:
        """All digests that are written in the document `top`, in the documents that these name, and so on.

        Whatever kind of document it is: nothing is missed that some other tool put there.
        """
        seen: set[Digest] = set()
        waiting = [top]
        while waiting:
            for text in set(_DIGEST.findall(waiting.pop())):
                digest = Digest(text.decode("ascii"))
                if digest not in seen:
                    seen.add(digest)
                    waiting.extend(self._documents(digest))
        return seen

    def _documents(self, digest: Digest) -> Iterator[bytes]:
        with contextlib.suppress(FileNotFoundError), self.path(digest).open("rb") as file:
            head = file.read(1)
            if head == b"{" and os.fstat(file.fileno()).st_size <= DOCUMENT_MAX_BYTES:
                yield head + file.read()


def _write_all(file_fd: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(file_fd, left) :]
