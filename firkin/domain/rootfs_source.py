"""Where a container's root filesystem comes from."""

from __future__ import annotations

from pathlib import Path

import msgspec

from .guest_path import GuestPath
from .image import ImageBundle


class GuestPathRootfs(msgspec.Struct, frozen=True, tag=True):
    """A directory that already exists in the sandbox; used as it is, writable, without an overlay."""

    path: GuestPath


class OciBundleRootfs(msgspec.Struct, frozen=True, tag=True):
    """An OCI image: a template of the store, and an overlay of the container's own on it."""

    bundle: ImageBundle


class Ext4ImageRootfs(msgspec.Struct, frozen=True, tag=True):
    """A filesystem image on the host; not yet honoured by any adapter, and refused by validation."""

    path: Path


AnyRootfs = GuestPathRootfs | OciBundleRootfs | Ext4ImageRootfs


class RootfsSource:
    """Makes the three kinds of rootfs."""

    @staticmethod
    def guest_path(path: str) -> GuestPathRootfs:
        """A directory of the sandbox.

        Raises:
            InvalidGuestPath: the path is not absolute and normalised.
        """
        return GuestPathRootfs(GuestPath(path))

    @staticmethod
    def oci_bundle(bundle: ImageBundle) -> OciBundleRootfs:
        """A resolved image."""
        return OciBundleRootfs(bundle)

    @staticmethod
    def ext4_image(path: str | Path) -> Ext4ImageRootfs:
        """A filesystem image on the host."""
        return Ext4ImageRootfs(Path(path))
