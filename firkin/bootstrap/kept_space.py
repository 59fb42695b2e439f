"""What is kept on the host beyond the life of a runtime, and what was left there."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from firkin.config import RuntimeConfig
from firkin.ports.guest_image import GuestImages
from firkin.ports.image_library import ImageLibrary
from firkin.ports.leftovers import Leftovers
from firkin.ports.reclaimable_space import ReclaimableSpace

from . import _factories
from ._factories import GUEST_IMAGES, LAYER_CACHE, placed

if TYPE_CHECKING:
    from firkin.adapters.image_library_oci import OciImageLibrary


def image_library(config: RuntimeConfig) -> ImageLibrary:
    """The user's image directory, of a configuration with its directories filled in."""
    return _kept_library(config)


def shared_templates(config: RuntimeConfig, store: Path | None = None) -> ReclaimableSpace:
    """The templates of a directory store, the machine's shared one unless another is given."""
    from firkin.adapters.store_directory import DirectoryTemplates

    return DirectoryTemplates(placed(config.state_dir), store, placed(config.search_path))


def reclaimable_spaces(config: RuntimeConfig, store: Path | None = None) -> tuple[ReclaimableSpace, ...]:
    """All that takes space below the state directory and can be made again."""
    from firkin.adapters.images_docker_archive import CachedLayers

    layers = CachedLayers(placed(config.state_dir) / LAYER_CACHE, time.time)
    return _kept_library(config), layers, shared_templates(config, store)


def guest_images(config: RuntimeConfig) -> GuestImages:
    """What virtual machines boot from, of a configuration with its directories filled in."""
    return _factories.guest_images(config)


def kept_guest_images(config: RuntimeConfig) -> ReclaimableSpace:
    """What is kept of what virtual machines boot from."""
    from firkin.adapters.guest_image_host import KeptGuestImages

    return KeptGuestImages(placed(config.state_dir) / GUEST_IMAGES)


def guest_image_directories(config: RuntimeConfig) -> Path:
    """Where each kept guest image has a directory."""
    from firkin.adapters.guest_image_host import IMAGES

    return placed(config.state_dir) / GUEST_IMAGES / IMAGES


def leftovers(config: RuntimeConfig) -> tuple[Leftovers, ...]:
    """Where killed processes of firkin may have left something, in the order in which it is to be removed."""
    from firkin.adapters.pod_registry_files import PodLeftovers
    from firkin.adapters.store_directory import DirectoryLeftovers
    from firkin.adapters.store_ext4 import ImageLeftovers
    from firkin.adapters.vmm_namespace import SandboxLeftovers

    state_dir = placed(config.state_dir)
    return (
        SandboxLeftovers(placed(config.runtime_dir)),
        ImageLeftovers(state_dir),
        DirectoryLeftovers(state_dir, search_path=placed(config.search_path)),
        PodLeftovers(state_dir),
    )


def _kept_library(config: RuntimeConfig) -> OciImageLibrary:
    from firkin.adapters.image_library_oci import OciImageLibrary

    return OciImageLibrary(placed(config.state_dir))
