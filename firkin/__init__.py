"""Pods from Python: one sandbox, one store, several OCI containers.

The public names are loaded when they are first used, so that `import firkin` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from . import errors as errors
    from .application.container import Container as Container
    from .application.container_add import PendingContainerAdd as PendingContainerAdd
    from .application.container_add import PreparedContainerAdd as PreparedContainerAdd
    from .application.container_add import StartedContainerAdd as StartedContainerAdd
    from .application.container_wait import DetachedContainer as DetachedContainer
    from .application.empty_dir_write import PendingEmptyDirFileWrite as PendingEmptyDirFileWrite
    from .application.pod import Pod as Pod
    from .application.pod_events import EventStream as EventStream
    from .application.port_forwarding import ForwardedPort as ForwardedPort
    from .application.runtime import Runtime as Runtime
    from .application.runtime_events import RuntimeEventStream as RuntimeEventStream
    from .bootstrap import open_runtime as open_runtime
    from .config import RuntimeConfig as RuntimeConfig
    from .domain.container_spec import PodContainerSpec as PodContainerSpec
    from .domain.container_spec import ResourceLimit as ResourceLimit
    from .domain.copying import CopyReport as CopyReport
    from .domain.digest import Digest as Digest
    from .domain.errors import FirkinError as FirkinError
    from .domain.guest_path import GuestPath as GuestPath
    from .domain.ids import ContainerId as ContainerId
    from .domain.ids import PodId as PodId
    from .domain.ids import VolumeName as VolumeName
    from .domain.image import ImageBundle as ImageBundle
    from .domain.image import ImageConfig as ImageConfig
    from .domain.image import Layer as Layer
    from .domain.image import Platform as Platform
    from .domain.mounts import Mount as Mount
    from .domain.name_resolution import DnsConfig as DnsConfig
    from .domain.name_resolution import HostEntry as HostEntry
    from .domain.output_log import LogEntry as LogEntry
    from .domain.pod_spec import PodBuilder as PodBuilder
    from .domain.pod_spec import PodSpec as PodSpec
    from .domain.port_forwards import PortForward as PortForward
    from .domain.probes import ExecAction as ExecAction
    from .domain.probes import GrpcAction as GrpcAction
    from .domain.probes import HttpGetAction as HttpGetAction
    from .domain.probes import Probe as Probe
    from .domain.probes import SleepAction as SleepAction
    from .domain.probes import TcpSocketAction as TcpSocketAction
    from .domain.process import ExitStatus as ExitStatus
    from .domain.process import Output as Output
    from .domain.process import Stdio as Stdio
    from .domain.reports import Capabilities as Capabilities
    from .domain.reports import StopReport as StopReport
    from .domain.restarting import RestartPolicy as RestartPolicy
    from .domain.rootfs_source import RootfsSource as RootfsSource
    from .domain.size import Size as Size
    from .domain.statistics import ContainerStatistics as ContainerStatistics
    from .domain.statistics import ProcessEntry as ProcessEntry
    from .domain.statistics import StoreBreakdown as StoreBreakdown
    from .domain.store_spec import PodStoreSpec as PodStoreSpec
    from .domain.vm_config import VmConfig as VmConfig
    from .domain.volumes import EmptyDirMedium as EmptyDirMedium
    from .domain.volumes import EmptyDirVolume as EmptyDirVolume
    from .domain.volumes import VolumeFile as VolumeFile

_HOMES = {
    "Capabilities": "domain.reports",
    "Container": "application.container",
    "ContainerId": "domain.ids",
    "ContainerStatistics": "domain.statistics",
    "CopyReport": "domain.copying",
    "DetachedContainer": "application.container_wait",
    "Digest": "domain.digest",
    "DnsConfig": "domain.name_resolution",
    "EmptyDirMedium": "domain.volumes",
    "EmptyDirVolume": "domain.volumes",
    "EventStream": "application.pod_events",
    "RuntimeEventStream": "application.runtime_events",
    "ExecAction": "domain.probes",
    "ExitStatus": "domain.process",
    "FirkinError": "domain.errors",
    "ForwardedPort": "application.port_forwarding",
    "GrpcAction": "domain.probes",
    "GuestPath": "domain.guest_path",
    "HostEntry": "domain.name_resolution",
    "HttpGetAction": "domain.probes",
    "ImageBundle": "domain.image",
    "ImageConfig": "domain.image",
    "Layer": "domain.image",
    "LogEntry": "domain.output_log",
    "Mount": "domain.mounts",
    "Output": "domain.process",
    "PendingContainerAdd": "application.container_add",
    "PendingEmptyDirFileWrite": "application.empty_dir_write",
    "Platform": "domain.image",
    "Pod": "application.pod",
    "PodBuilder": "domain.pod_spec",
    "PodContainerSpec": "domain.container_spec",
    "PodId": "domain.ids",
    "PodSpec": "domain.pod_spec",
    "PodStoreSpec": "domain.store_spec",
    "PortForward": "domain.port_forwards",
    "PreparedContainerAdd": "application.container_add",
    "ProcessEntry": "domain.statistics",
    "Probe": "domain.probes",
    "ResourceLimit": "domain.container_spec",
    "RestartPolicy": "domain.restarting",
    "RootfsSource": "domain.rootfs_source",
    "Runtime": "application.runtime",
    "RuntimeConfig": "config",
    "Size": "domain.size",
    "SleepAction": "domain.probes",
    "StartedContainerAdd": "application.container_add",
    "Stdio": "domain.process",
    "StopReport": "domain.reports",
    "StoreBreakdown": "domain.statistics",
    "TcpSocketAction": "domain.probes",
    "VmConfig": "domain.vm_config",
    "VolumeFile": "domain.volumes",
    "VolumeName": "domain.ids",
    "errors": "",
    "open_runtime": "bootstrap",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = import_module(f"{__name__}.{home or name}")
    if home:
        value = getattr(value, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
