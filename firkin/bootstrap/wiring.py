"""Which class stands behind which port of a runtime."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

from dependency_injector import containers, providers

from firkin.application.runtime import Runtime
from firkin.config import RuntimeConfig, load_config
from firkin.ports.agent_connector import AgentConnector
from firkin.ports.image_source import ImageSource
from firkin.ports.log_keeper import LogKeeper
from firkin.ports.store import PodStore
from firkin.ports.vmm import Vmm

from . import _factories

T = TypeVar("T")


class Wiring(containers.DeclarativeContainer):
    """Constructs a runtime; it owns no lifetime. An object of the caller's own overrides its port's provider."""

    config = providers.Dependency(instance_of=RuntimeConfig)
    memory_world = providers.Singleton(_factories.memory_world)
    guest_images = providers.Singleton(_factories.guest_images, config)

    vmm: providers.Provider[Vmm] = providers.Selector(
        config.provided.vmm,
        namespace=providers.Singleton(_factories.namespace_vmm, config),
        qemu=providers.Singleton(_factories.qemu_vmm, config, guest_images),
        memory=providers.Singleton(_factories.memory_vmm, memory_world),
    )
    store: providers.Provider[PodStore] = providers.Selector(
        config.provided.store,
        ext4=providers.Singleton(_factories.ext4_store, config),
        directory=providers.Singleton(_factories.directory_store, config),
        memory=providers.Singleton(_factories.memory_store, memory_world),
    )
    agents: providers.Provider[AgentConnector] = providers.Selector(
        config.provided.agents,
        grpc=providers.Singleton(_factories.grpc_agents, config),
        memory=providers.Singleton(_factories.memory_agents, memory_world),
    )
    logs: providers.Provider[LogKeeper | None] = providers.Selector(config.provided.logs, memory=providers.Object(None))
    oci_images = providers.Singleton(_factories.oci_images)
    image_sources: providers.Aggregate[ImageSource] = providers.Aggregate(
        {
            "oci": oci_images,
            "docker-archive": providers.Singleton(_factories.docker_archive_images, config),
            "image": providers.Singleton(_factories.kept_images, config, oci_images),
            "memory": providers.Singleton(_factories.memory_images),
        }
    )
    images = providers.Singleton(_factories.images, config.provided.image_sources, image_sources.provider, config)
    runtime = providers.Factory(
        Runtime,
        vmm=vmm,
        store=store,
        agents=agents,
        images=images,
        start_concurrency=config.provided.start_concurrency,
        observer=providers.Singleton(_factories.observer),
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
