"""The pod store: one filesystem that holds templates, containers and disk emptyDirs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import force_setattr

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

    if TYPE_CHECKING:

        def __init__(self, path: str | Path | None = None, size: int = DEFAULT_STORE_SIZE) -> None: ...

    def __post_init__(self) -> None:
        if self.path is not None:
            force_setattr(self, "path", Path(self.path))
        force_setattr(self, "size", Size(self.size))

    @classmethod
    def at(cls, path: str | Path, size: int = DEFAULT_STORE_SIZE) -> PodStoreSpec:
        """A store that is kept at `path`, made when absent."""
        return cls(path, size)
