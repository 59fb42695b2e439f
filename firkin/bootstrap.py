"""The composition root: which class stands behind which port."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from dependency_injector import containers, providers
from msgspec.structs import replace

from firkin.application.images import Images
from firkin.application.runtime import Runtime
from firkin.config import AnyImageSource, RuntimeConfig, load_config
from firkin.ports.agent_connector import AgentConnector
from firkin.ports.guest_image import GuestImages
from firkin.ports.image_library import ImageLibrary
from firkin.ports.image_source import ImageSource
from firkin.ports.leftovers import Leftovers
from firkin.ports.log_keeper import LogKeeper
from firkin.ports.pod_control import ControlConnector
from firkin.ports.reclaimable_space import ReclaimableSpace
from firkin.ports.spawn_observer import SpawnObserver
from firkin.ports.store import PodStore
from firkin.ports.vmm import Vmm

if TYPE_CHECKING:
    from firkin.adapters.image_library_oci import OciImageLibrary
    from firkin.adapters.memory import MemoryWorld
    from firkin.adapters.pod_registry_files import FilePodRegistry
    from firkin.adapters.supervisor_process import SupervisorParts

T = TypeVar("T")

LAYER_CACHE = "layers"
"""Below the state directory: layers of archives, as files."""

GUEST_IMAGES = "guest"
"""Below the state directory: kernels and images of virtual machines."""

# Each adapter is imported when it is chosen: what is not used costs no start-up time.


def _namespace_vmm(config: RuntimeConfig) -> Vmm:
    from firkin.adapters.vmm_namespace import NamespaceVmm

    return NamespaceVmm(
        _placed(config.runtime_dir),
        runtime=config.oci_runtime,
        search_path=_placed(config.search_path),
        allow_host_paths=config.allow_host_paths,
    )


def _guest_images(config: RuntimeConfig) -> GuestImages:
    from firkin.adapters.guest_image_host import HostGuestImages

    return HostGuestImages(_placed(config.state_dir) / GUEST_IMAGES, _placed(config.search_path))


def _qemu_vmm(config: RuntimeConfig, images: GuestImages) -> Vmm:
    from firkin.adapters.vmm_qemu import QemuSettings, QemuVmm

    settings = QemuSettings(config.acceleration, config.cpus, config.memory, config.kernel, config.vsock)
    return QemuVmm(
        _placed(config.runtime_dir), images, _placed(config.search_path), settings, config.guest_build_progress
    )


def _memory_world() -> MemoryWorld:
    from firkin.adapters.memory import MemoryWorld

    return MemoryWorld()


def _memory_vmm(world: MemoryWorld) -> Vmm:
    from firkin.adapters.memory import MemoryVmm

    return MemoryVmm(world)


def _ext4_store(config: RuntimeConfig) -> PodStore:
    from firkin.adapters.store_ext4 import Ext4PodStore

    is_for_machines = config.vmm == "qemu"
    return Ext4PodStore(_placed(config.state_dir), _placed(config.search_path), for_machines=is_for_machines)


def _directory_store(config: RuntimeConfig) -> PodStore:
    from firkin.adapters.store_directory import DirectoryPodStore

    return DirectoryPodStore(_placed(config.state_dir), _placed(config.search_path))


def _memory_store(world: MemoryWorld) -> PodStore:
    from firkin.adapters.memory import MemoryPodStore

    return MemoryPodStore(world)


def _grpc_agents() -> AgentConnector:
    from firkin.adapters.agent_grpc import GrpcAgentConnector

    return GrpcAgentConnector()


def _memory_agents(world: MemoryWorld) -> AgentConnector:
    from firkin.adapters.memory import MemoryAgentConnector

    return MemoryAgentConnector(world)


def _oci_images() -> ImageSource:
    from firkin.adapters.images_oci_layout import OciLayoutImageSource

    return OciLayoutImageSource()


def _docker_archive_images(config: RuntimeConfig) -> ImageSource:
    from firkin.adapters.images_docker_archive import DockerArchiveImageSource

    return DockerArchiveImageSource(_placed(config.state_dir) / LAYER_CACHE)


def _kept_images(config: RuntimeConfig, layouts: ImageSource) -> ImageSource:
    from firkin.adapters.image_library_oci import LibraryImageSource

    return LibraryImageSource(_placed(config.state_dir), layouts)


def _memory_images() -> ImageSource:
    from firkin.adapters.memory import MemoryImageSource

    return MemoryImageSource()


def _observer() -> SpawnObserver | None:
    if find_spec("opentelemetry") is None:
        return None
    from firkin.adapters.tracing_opentelemetry import OpenTelemetryObserver

    return OpenTelemetryObserver()


def _placed(setting: T | None) -> T:
    assert setting is not None, "RuntimeConfig.placed() fills it in"
    return setting


def _images(chosen: Iterable[AnyImageSource], named: Callable[[str], ImageSource], config: RuntimeConfig) -> Images:
    sources = [named(source) if isinstance(source, str) else source for source in chosen]
    return Images(sources, config.platform)


class Wiring(containers.DeclarativeContainer):
    """Constructs a runtime; it owns no lifetime. An object of the caller's own overrides its port's provider."""

    config = providers.Dependency(instance_of=RuntimeConfig)
    memory_world = providers.Singleton(_memory_world)
    guest_images = providers.Singleton(_guest_images, config)

    vmm: providers.Provider[Vmm] = providers.Selector(
        config.provided.vmm,
        namespace=providers.Singleton(_namespace_vmm, config),
        qemu=providers.Singleton(_qemu_vmm, config, guest_images),
        memory=providers.Singleton(_memory_vmm, memory_world),
    )
    store: providers.Provider[PodStore] = providers.Selector(
        config.provided.store,
        ext4=providers.Singleton(_ext4_store, config),
        directory=providers.Singleton(_directory_store, config),
        memory=providers.Singleton(_memory_store, memory_world),
    )
    agents: providers.Provider[AgentConnector] = providers.Selector(
        config.provided.agents,
        grpc=providers.Singleton(_grpc_agents),
        memory=providers.Singleton(_memory_agents, memory_world),
    )
    logs: providers.Provider[LogKeeper | None] = providers.Selector(config.provided.logs, memory=providers.Object(None))
    oci_images = providers.Singleton(_oci_images)
    image_sources: providers.Aggregate[ImageSource] = providers.Aggregate(
        {
            "oci": oci_images,
            "docker-archive": providers.Singleton(_docker_archive_images, config),
            "image": providers.Singleton(_kept_images, config, oci_images),
            "memory": providers.Singleton(_memory_images),
        }
    )
    images = providers.Singleton(_images, config.provided.image_sources, image_sources.provider, config)
    runtime = providers.Factory(
        Runtime,
        vmm=vmm,
        store=store,
        agents=agents,
        images=images,
        start_concurrency=config.provided.start_concurrency,
        observer=providers.Singleton(_observer),
        logs=logs,
    )


def _override_by_object(provider: providers.Provider[T], chosen: str | T | None) -> None:
    if chosen is not None and not isinstance(chosen, str):
        provider.override(providers.Object(chosen))


def wired(config: RuntimeConfig) -> Wiring:
    """Bind the wiring to a configuration."""
    wiring = Wiring(config=providers.Object(config))
    _override_by_object(wiring.vmm, config.vmm)
    _override_by_object(wiring.store, config.store)
    _override_by_object(wiring.agents, config.agents)
    _override_by_object(wiring.logs, config.logs)
    return wiring


@asynccontextmanager
async def open_runtime(config: RuntimeConfig | None = None) -> AsyncIterator[Runtime]:
    """Open a runtime; leaving it stops every pod that still runs.

    Without a configuration, the file and the environment decide (`load_config`).

    Raises:
        ConfigurationError: the configuration cannot be used.
    """
    wiring = wired((config or load_config()).placed())
    async with wiring.runtime() as runtime:
        yield runtime


def image_library(config: RuntimeConfig) -> ImageLibrary:
    """The user's image directory, of a configuration with its directories filled in."""
    return _kept_library(config)


def shared_templates(config: RuntimeConfig, store: Path | None = None) -> ReclaimableSpace:
    """The templates of a directory store, the machine's shared one unless another is given."""
    from firkin.adapters.store_directory import DirectoryTemplates

    return DirectoryTemplates(_placed(config.state_dir), store, _placed(config.search_path))


def reclaimable_spaces(config: RuntimeConfig, store: Path | None = None) -> tuple[ReclaimableSpace, ...]:
    """All that takes space below the state directory and can be made again."""
    from firkin.adapters.images_docker_archive import CachedLayers

    layers = CachedLayers(_placed(config.state_dir) / LAYER_CACHE, time.time)
    return _kept_library(config), layers, shared_templates(config, store)


def guest_images(config: RuntimeConfig) -> GuestImages:
    """What virtual machines boot from, of a configuration with its directories filled in."""
    return _guest_images(config)


def kept_guest_images(config: RuntimeConfig) -> ReclaimableSpace:
    """What is kept of what virtual machines boot from."""
    from firkin.adapters.guest_image_host import KeptGuestImages

    return KeptGuestImages(_placed(config.state_dir) / GUEST_IMAGES)


def pod_registry(config: RuntimeConfig) -> FilePodRegistry:
    """The long-lived pods below the state directory."""
    from firkin.adapters.pod_registry_files import FilePodRegistry

    return FilePodRegistry(_placed(config.state_dir))


def log_keeper(config: RuntimeConfig) -> LogKeeper:
    """The logs of long-lived pods."""
    from firkin.adapters.log_files import FileLogKeeper

    return FileLogKeeper(pod_registry(config).pods)


def control_connector(config: RuntimeConfig) -> ControlConnector:
    """The way to the supervisors of long-lived pods."""
    from firkin.adapters.supervisor_grpc import GrpcControlConnector

    registry = pod_registry(config)
    return GrpcControlConnector(registry, registry.pods)


def supervisor_parts(config: RuntimeConfig) -> SupervisorParts:
    """What the supervisor of one long-lived pod is made of."""
    from firkin.adapters.supervisor_grpc import GrpcControlServer
    from firkin.adapters.supervisor_process import SupervisorParts

    with_logs = replace(config, logs=log_keeper(config))
    return SupervisorParts(lambda: open_runtime(with_logs), pod_registry(config), GrpcControlServer())


def leftovers(config: RuntimeConfig) -> tuple[Leftovers, ...]:
    """Where killed processes of firkin may have left something, in the order in which it is to be removed."""
    from firkin.adapters.pod_registry_files import PodLeftovers
    from firkin.adapters.store_directory import DirectoryLeftovers
    from firkin.adapters.store_ext4 import ImageLeftovers
    from firkin.adapters.vmm_namespace import SandboxLeftovers

    state_dir = _placed(config.state_dir)
    return (
        SandboxLeftovers(_placed(config.runtime_dir)),
        ImageLeftovers(state_dir),
        DirectoryLeftovers(state_dir, search_path=_placed(config.search_path)),
        PodLeftovers(state_dir),
    )


def _kept_library(config: RuntimeConfig) -> OciImageLibrary:
    from firkin.adapters.image_library_oci import OciImageLibrary

    return OciImageLibrary(_placed(config.state_dir))
