"""Images and container specs that the tests of the domain start from."""

from __future__ import annotations

from firkin import Digest, ImageBundle, ImageConfig, Platform, PodContainerSpec, RootfsSource


def bundle(config: ImageConfig | None = None, platform: Platform | None = None) -> ImageBundle:
    """An image without layers."""
    return ImageBundle(
        "oci:/images/app:1",
        Digest.of(b"manifest"),
        platform or Platform("amd64"),
        config or ImageConfig(command=("/bin/app",)),
        (),
    )


def container(id: str = "web", config: ImageConfig | None = None) -> PodContainerSpec:  # noqa: A002
    """A container of that image."""
    return PodContainerSpec(id, RootfsSource.oci_bundle(bundle(config)))
