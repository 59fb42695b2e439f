"""The pod store: one filesystem that holds templates, containers and disk emptyDirs."""

from __future__ import annotations

from pathlib import Path

import msgspec

from .size import Size

DEFAULT_STORE_SIZE = Size.gib(8)


class PodStoreSpec(msgspec.Struct, frozen=True):
    """Which store a pod uses; its kind is the runtime's (`RuntimeConfig.store`).

    Attributes:
        path: the store's host file (ext4) or directory. None: for ext4 a sparse file of the pod's own that goes
            with the pod; for a directory the runtime's shared store, whose templates stay.
        size: bytes that an ext4 store holds; a hard limit. An existing file keeps its size.
    """

    path: Path | None = None
    size: Size = DEFAULT_STORE_SIZE

    @classmethod
    def at(cls, path: str | Path, size: int = DEFAULT_STORE_SIZE) -> PodStoreSpec:
        """A store that is kept at `path`, made when absent."""
        return cls(Path(path), Size(size))
