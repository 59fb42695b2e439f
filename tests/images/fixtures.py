"""Session fixtures: references of the test images."""

from __future__ import annotations

from pathlib import Path

import pytest

from .busybox import busybox_layout
from .debian import debian_layouts
from .services import services_layout


@pytest.fixture(scope="session")
def busybox_image() -> str:
    """Reference of the busybox image; its tag `variant` is `busybox_variant_image`."""
    return f"oci:{busybox_layout()}:latest"


@pytest.fixture(scope="session")
def busybox_variant_image() -> str:
    """Reference of a busybox image that sets entrypoint, command, environment, directory, user and stop signal."""
    return f"oci:{busybox_layout()}:variant"


@pytest.fixture(scope="session")
def debian_image() -> str:
    """Reference of a Debian system of four layers, by gzip."""
    return f"oci:{debian_layouts()}/gzip:latest"


@pytest.fixture(scope="session", params=["gzip", "zstd", "plain"])
def debian_image_of_each_compression(request: pytest.FixtureRequest) -> str:
    """Reference of the Debian system, once per compression of its layers."""
    return f"oci:{debian_layouts()}/{request.param}:latest"


@pytest.fixture(scope="session")
def debian_rootfs() -> Path:
    """The Debian system's root filesystem as umoci unpacks it; not to be changed."""
    return debian_layouts() / "rootfs"


@pytest.fixture(scope="session")
def services_image() -> str:
    """Reference of a Debian system with nginx, redis and other small services."""
    return f"oci:{services_layout()}/layout:latest"
