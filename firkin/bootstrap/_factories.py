"""Makes the adapter that a configuration names for a port of a runtime."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib.util import find_spec
from typing import TYPE_CHECKING, TypeVar

from firkin.application.images import Images
from firkin.config import AnyImageSource, RuntimeConfig
from firkin.ports.agent_connector import AgentConnector
from firkin.ports.guest_image import GuestImages
from firkin.ports.image_source import ImageSource
from firkin.ports.spawn_observer import SpawnObserver
from firkin.ports.store import PodStore
from firkin.ports.vmm import Vmm

if TYPE_CHECKING:
    from firkin.adapters.memory import MemoryWorld

T = TypeVar("T")

LAYER_CACHE = "layers"
"""Below the state directory: layers of archives, as files."""

GUEST_IMAGES = "guest"
"""Below the state directory: kernels and images of virtual machines."""

# Each adapter is imported when it is chosen: what is not used costs no start-up time.


def namespace_vmm(config: RuntimeConfig) -> Vmm:
    from firkin.adapters.vmm_namespace import NamespaceVmm

    return NamespaceVmm(
        placed(config.runtime_dir),
        runtime=config.oci_runtime,
        search_path=placed(config.search_path),
        allow_host_paths=config.allow_host_paths,
    )


def guest_images(config: RuntimeConfig) -> GuestImages:
    from firkin.adapters.guest_image_host import HostGuestImages

    return HostGuestImages(placed(config.state_dir) / GUEST_IMAGES, placed(config.search_path))


def qemu_vmm(config: RuntimeConfig, images: GuestImages) -> Vmm:
    from firkin.adapters.vmm_qemu import QemuSettings, QemuVmm

    settings = QemuSettings(config.acceleration, config.cpus, config.memory, config.kernel, config.vsock)
    return QemuVmm(
        placed(config.runtime_dir), images, placed(config.search_path), settings, config.guest_build_progress
    )


def memory_world() -> MemoryWorld:
    from firkin.adapters.memory import MemoryWorld

    return MemoryWorld()


def memory_vmm(world: MemoryWorld) -> Vmm:
    from firkin.adapters.memory import MemoryVmm

    return MemoryVmm(world)


def ext4_store(config: RuntimeConfig) -> PodStore:
    from firkin.adapters.store_ext4 import Ext4PodStore

    is_for_machines = config.vmm == "qemu"
    return Ext4PodStore(placed(config.state_dir), placed(config.search_path), for_machines=is_for_machines)


def directory_store(config: RuntimeConfig) -> PodStore:
    from firkin.adapters.store_directory import DirectoryPodStore

    return DirectoryPodStore(placed(config.state_dir), placed(config.search_path))


def memory_store(world: MemoryWorld) -> PodStore:
    from firkin.adapters.memory import MemoryPodStore

    return MemoryPodStore(world)


def grpc_agents(config: RuntimeConfig) -> AgentConnector:
    from firkin.adapters.agent_grpc import GrpcAgentConnector

    return GrpcAgentConnector(layer_limits=config.layer_limits)


def memory_agents(world: MemoryWorld) -> AgentConnector:
    from firkin.adapters.memory import MemoryAgentConnector

    return MemoryAgentConnector(world)


def oci_images() -> ImageSource:
    from firkin.adapters.images_oci_layout import OciLayoutImageSource

    return OciLayoutImageSource()


def docker_archive_images(config: RuntimeConfig) -> ImageSource:
    from firkin.adapters.images_docker_archive import DockerArchiveImageSource

    return DockerArchiveImageSource(placed(config.state_dir) / LAYER_CACHE)


def kept_images(config: RuntimeConfig, layouts: ImageSource) -> ImageSource:
    from firkin.adapters.image_library_oci import LibraryImageSource

    return LibraryImageSource(placed(config.state_dir), layouts)


def memory_images() -> ImageSource:
    from firkin.adapters.memory import MemoryImageSource

    return MemoryImageSource()


def observer() -> SpawnObserver | None:
    if find_spec("opentelemetry") is None:
        return None
    from firkin.adapters.tracing_opentelemetry import OpenTelemetryObserver

    return OpenTelemetryObserver()


def placed(setting: T | None) -> T:
    assert setting is not None, "RuntimeConfig.placed() fills it in"
    return setting


def images(chosen: Iterable[AnyImageSource], named: Callable[[str], ImageSource], config: RuntimeConfig) -> Images:
    sources = [named(source) if isinstance(source, str) else source for source in chosen]
    return Images(sources, config.platform)
