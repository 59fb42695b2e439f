"""A pod manifest that was read and found in order."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from firkin.domain.container_spec import ResourceLimits
from firkin.domain.ids import ContainerId, PodId
from firkin.domain.port_forwards import PortForward
from firkin.domain.probes import Hooks, Probes
from firkin.domain.restarting import RestartPolicy
from firkin.domain.surroundings import Surroundings
from firkin.domain.validation import Volume
from firkin.domain.volumes import EmptyDirMount

# Kubernetes' default of terminationGracePeriodSeconds.
DEFAULT_GRACE_SECONDS = 30.0


class SecurityContext(msgspec.Struct, frozen=True):
    """The fields of a container's `securityContext`, the pod's filled in; None is what the image or firkin has."""

    run_as_user: int | None = None
    run_as_group: int | None = None
    run_as_non_root: bool = False
    read_only_root: bool = False
    allow_privilege_escalation: bool = False
    capabilities_add: tuple[str, ...] = ()
    capabilities_drop: tuple[str, ...] = ()


class PodSecurity(msgspec.Struct, frozen=True):
    """The fields of the pod's `securityContext`."""

    run_as_user: int | None = None
    run_as_group: int | None = None
    run_as_non_root: bool = False
    fs_group: int | None = None
    supplemental_groups: tuple[int, ...] = ()

    @property
    def additional_groups(self) -> tuple[int, ...]:
        """What every process of the pod is in, beside the groups of its user."""
        own = () if self.fs_group is None else (self.fs_group,)
        return tuple(dict.fromkeys((*self.supplemental_groups, *own)))


class ManifestContainer(msgspec.Struct, frozen=True):
    """One entry of `spec.containers` or `spec.initContainers`.

    Attributes:
        name: unique in the pod.
        image: reference; a relative directory in it has become relative to the manifest's directory.
        command, args: as written, with `$(NAME)` not yet replaced.
        environment: in order, with `$(NAME)` replaced.
        working_dir: None for the image's.
        mounts: which volumes it sees, and where.
        resources: its limits.
        writable_layer_bytes: its limit of ephemeral storage.
        security: its security context.
        probes, hooks: commands that are run in it.
        port_forwards: ports of the host that lead to its own.
        terminal, stdin: whether it wants a terminal, and standard input.
        is_sidecar: whether it is an init container that goes on beside the others.
    """

    name: ContainerId
    image: str
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    working_dir: str | None = None
    mounts: tuple[EmptyDirMount, ...] = ()
    resources: ResourceLimits = ResourceLimits()
    security: SecurityContext = SecurityContext()
    probes: Probes = Probes()
    hooks: Hooks = Hooks()
    port_forwards: tuple[PortForward, ...] = ()
    terminal: bool = False
    stdin: bool = False
    is_sidecar: bool = False
    writable_layer_bytes: int | None = None


class PodManifest(msgspec.Struct, frozen=True):
    """A pod of a manifest.

    Attributes:
        source: where the manifest was read from.
        name: the pod's id.
        labels, annotations: kept for variables that refer to them.
        init_containers, containers, volumes: as declared.
        host_name: None for the pod's name.
        grace_seconds: how long a stop waits before it kills.
        security: the pod's security context.
        restart_policy: what becomes of containers that ended.
        surroundings: DNS, hosts and kernel settings.
        shares_processes: whether the containers see each other's processes.
    """

    source: str
    name: PodId
    containers: tuple[ManifestContainer, ...]
    volumes: tuple[Volume, ...] = ()
    host_name: str | None = None
    grace_seconds: float = DEFAULT_GRACE_SECONDS
    labels: Mapping[str, str] = {}
    annotations: Mapping[str, str] = {}
    init_containers: tuple[ManifestContainer, ...] = ()
    security: PodSecurity = PodSecurity()
    restart_policy: RestartPolicy = RestartPolicy.ALWAYS
    surroundings: Surroundings = Surroundings()
    shares_processes: bool = False
