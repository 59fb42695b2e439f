"""The names of the image directory: `index.json`, replaced as a whole by one writer at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import msgspec

from firkin.domain.image_documents import Descriptor, Index, decoded
from firkin.domain.image_names import kept_name

from .blobs import PARTIAL
from .failures import translated

_INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'


class _RawIndex(msgspec.Struct, frozen=True, rename="camel"):
    """The index with its descriptors as they stand, since other tools may have put more into them."""

    schema_version: int
    media_type: str
    manifests: tuple[msgspec.Raw, ...] | None


class LibraryIndex:
    """Descriptors by name."""

    def __init__(self, directory: Path) -> None:
        """`directory` is that of the layout."""
        self._directory = directory
        self._path = directory / "index.json"

    @property
    def reference(self) -> str:
        """What errors call it."""
        return f"oci:{self._directory}"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other writers out; short, because they wait. The layout is made when it is absent."""
        with translated(self._directory):
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            directory_fd = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(directory_fd, fcntl.LOCK_EX)
            yield
            os.fsync(directory_fd)
        finally:
            os.close(directory_fd)

    def data(self) -> bytes:
        """The document; that of an empty index when there is none."""
        with translated(self._directory):
            try:
                return self._path.read_bytes()
            except FileNotFoundError:
                return msgspec.json.encode(_RawIndex(2, _INDEX_TYPE, ()))

    def descriptors(self) -> tuple[Descriptor, ...]:
        """All descriptors that have a name, by name.

        Raises:
            ImageInvalid: the index is broken.
        """
        manifests = decoded(self.data(), Index, "index.json", self.reference).manifests or ()
        return tuple(sorted((one for one in manifests if one.tag is not None), key=lambda one: one.tag or ""))

    def found(self, name: str, reference: str) -> Descriptor:
        """The descriptor of the image that `name` means.

        Raises:
            ImageNotFound: there is none, or `name` is short for several.
        """
        by_name = {one.tag or "": one for one in self.descriptors()}
        return by_name[kept_name(name, reference, by_name)]

    def put(self, name: str, descriptor: dict[str, object]) -> None:
        """Let `name` mean `descriptor` and nothing else; to be called while it is locked."""
        self._write((*self._without(name), msgspec.Raw(msgspec.json.encode(descriptor, enc_hook=str))))

    def remove(self, name: str) -> None:
        """Take a name away; to be called while it is locked."""
        self._write(self._without(name))

    def _without(self, name: str) -> tuple[msgspec.Raw, ...]:
        raw = decoded(self.data(), _RawManifests, "index.json", self.reference).manifests or ()
        return tuple(one for one in raw if decoded(bytes(one), Descriptor, "index.json", self.reference).tag != name)

    def _write(self, manifests: tuple[msgspec.Raw, ...]) -> None:
        self._replace(self._directory / "oci-layout", _LAYOUT)
        self._replace(self._path, msgspec.json.encode(_RawIndex(2, _INDEX_TYPE, manifests)))

    def _replace(self, path: Path, data: bytes) -> None:
        partial = self._directory / f"{PARTIAL}{secrets.token_hex(8)}"
        with translated(self._directory):
            try:
                with partial.open("xb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                partial.rename(path)
            finally:
                partial.unlink(missing_ok=True)


class _RawManifests(msgspec.Struct, frozen=True):
    manifests: tuple[msgspec.Raw, ...] | None
