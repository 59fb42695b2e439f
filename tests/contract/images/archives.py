"""Writes archives of `docker save`, right and wrong, for tests of those who read them."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Iterable
from pathlib import Path

from firkin.domain.digest import Digest
from firkin.domain.image import Platform

from .layouts import Json


class ArchiveWriter:
    """Writes one archive, entry by entry."""

    def __init__(self, path: Path, tar_format: int = tarfile.PAX_FORMAT) -> None:
        self.path = path
        self.format = tar_format
        self._data = io.BytesIO()
        self._tar = tarfile.TarFile(fileobj=self._data, mode="w", format=tar_format)
        self._images: list[Json] = []

    def reference(self, name: str | None = None) -> str:
        """The reference of an image of this archive."""
        return f"docker-archive:{self.path}" if name is None else f"docker-archive:{self.path}:{name}"

    def file(self, name: str, data: bytes) -> str:
        """Add a file, and return its name."""
        entry = tarfile.TarInfo(name)
        entry.size = len(data)
        self._tar.addfile(entry, io.BytesIO(data))
        return name

    def link(self, name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> str:
        """Add a symbolic or hard link, and return its name."""
        entry = tarfile.TarInfo(name)
        entry.type = kind
        entry.linkname = target
        self._tar.addfile(entry)
        return name

    def layer(self, text: str) -> str:
        """Add a layer of these bytes, named as skopeo does."""
        data = text.encode()
        return self.file(f"{Digest.of(data).hex}.tar", data)

    def config(
        self, layers: Iterable[str] = ("base",), platform: Platform | None = None, process: Json | None = None
    ) -> str:
        """Add a config for layers of these bytes."""
        where = platform or Platform.current()
        document: Json = {
            "architecture": where.architecture,
            "os": where.os,
            "config": process or {},
            "created": "2024-05-06T07:08:09Z",
            "rootfs": {"type": "layers", "diff_ids": [str(Digest.of(layer.encode())) for layer in layers]},
        }
        data = json.dumps(document).encode()
        return self.file(f"{Digest.of(data).hex}.json", data)

    def image(self, config: str | None = None, layers: Iterable[str] | None = None, tags: Iterable[str] = ()) -> None:
        """Add an image to the manifest: names of files in the archive; without them, an image of one layer."""
        names = [self.layer("base")] if layers is None else list(layers)
        self._images.append({"Config": config or self.config(), "RepoTags": list(tags) or None, "Layers": names})

    def written(self, manifest: object = None, *, gzipped: bool = False) -> str:
        """Write the archive, and return its reference."""
        self.file("manifest.json", json.dumps(self._images if manifest is None else manifest).encode())
        self._tar.close()
        data = self._data.getvalue()
        self.path.write_bytes(gzip.compress(data, 1) if gzipped else data)
        return self.reference()
