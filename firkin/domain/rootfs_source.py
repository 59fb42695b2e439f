"""Where a container's root filesystem comes from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import force_setattr

from .guest_path import GuestPath
from .image import ImageBundle


class GuestPathRootfs(msgspec.Struct, frozen=True, tag=True):
    """A directory that already exists in the sandbox; used as it is, writable, without an overlay."""

    path: GuestPath

    if TYPE_CHECKING:

        def __init__(self, path: str) -> None: ...

    def __post_init__(self) -> None:
        force_setattr(self, "path", GuestPath(self.path))


class OciBundleRootfs(msgspec.Struct, frozen=True, tag=True):
    """An OCI image: a template of the store, and an overlay of the container's own on it."""

    bundle: ImageBundle


class Ext4ImageRootfs(msgspec.Struct, frozen=True, tag=True):
    """A filesystem image on the host; not yet honoured by any adapter, and refused by validation."""

    path: Path

    if TYPE_CHECKING:

        def __init__(self, path: str | Path) -> None: ...

    def __post_init__(self) -> None:
        force_setattr(self, "path", Path(self.path))


AnyRootfs = GuestPathRootfs | OciBundleRootfs | Ext4ImageRootfs


class RootfsSource:
    """Makes the three kinds of rootfs."""

    @staticmethod
    def guest_path(path: str) -> GuestPathRootfs:
        """A directory of the sandbox.

        Raises:
            InvalidGuestPath: the path is not absolute and normalised.
        """
        return GuestPathRootfs(path)

    @staticmethod
    def oci_bundle(bundle: ImageBundle) -> OciBundleRootfs:
        """A resolved image."""
        return OciBundleRootfs(bundle)

    @staticmethod
    def ext4_image(path: str | Path) -> Ext4ImageRootfs:
        """A filesystem image on the host."""
        return Ext4ImageRootfs(path)
