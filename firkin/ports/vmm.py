"""Who makes sandboxes."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Protocol, runtime_checkable

import msgspec

from firkin.domain.container_spec import ResourceLimits
from firkin.domain.host_paths import HostPathVolume
from firkin.domain.ids import PodId
from firkin.domain.reports import Capabilities
from firkin.domain.vm_config import VmConfig

from .sandbox import Sandbox
from .store import StoreMedium


class SandboxRequest(msgspec.Struct, frozen=True):
    """The sandbox that a pod needs.

    Attributes:
        host_paths: paths of the host to show in the sandbox, at `HOST_PATHS` by the names of their volumes.
        limits: what its containers together may use; `config` limits the sandbox as a whole, agent and all.
    """

    pod_id: PodId
    config: VmConfig
    store: StoreMedium
    host_name: str
    limits: ResourceLimits = ResourceLimits()
    host_paths: tuple[HostPathVolume, ...] = ()


@runtime_checkable
class Vmm(Protocol):
    """Makes sandboxes of one kind."""

    def capabilities(self) -> Capabilities:
        """What sandboxes of this kind enforce on this machine; touches nothing."""
        ...

    def booted(self, request: SandboxRequest) -> AbstractAsyncContextManager[Sandbox]:
        """Boot a sandbox whose init is the guest agent.

        Entering returns once the sandbox runs; its agent may need longer to answer. Leaving ends the sandbox
        within a bounded time, whatever its state, and leaves nothing of it on the host.

        Raises:
            BootFailed: it did not come up; nothing is left of it.
            UnsupportedFeature: this kind of sandbox cannot do what the request asks.
            HostPathRefused: a path of the host is not allowed, or is not what it is said to be.
            MissingTool, PermissionMissing: the machine lacks something.
        """
        ...
