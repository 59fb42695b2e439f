"""The parts of pods that outlive the command that started them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from firkin.config import RuntimeConfig
from firkin.ports.log_keeper import LogKeeper
from firkin.ports.pod_control import ControlConnector

from ._factories import placed
from .wiring import open_runtime

if TYPE_CHECKING:
    from firkin.adapters.pod_registry_files import FilePodRegistry
    from firkin.adapters.supervisor_process import SupervisorParts


def pod_registry(config: RuntimeConfig) -> FilePodRegistry:
    """The long-lived pods below the state directory."""
    from firkin.adapters.pod_registry_files import FilePodRegistry

    return FilePodRegistry(placed(config.state_dir))


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
