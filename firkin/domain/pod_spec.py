"""What a pod is to be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Self

import msgspec
from msgspec.structs import force_setattr, replace

from .container_spec import PodContainerSpec, ResourceLimits
from .errors import InvalidPodSpec
from .host_paths import HostPathVolume
from .ids import PodId
from .name_resolution import DnsConfig, HostEntry
from .network import USER_NETWORK_DNS, Network
from .port_forwards import LOOPBACK, PortForward, port_forward_problems
from .restarting import RestartPolicy
from .store_spec import PodStoreSpec
from .surroundings import Surroundings, surroundings_problems
from .validation import pod_problems
from .vm_config import VmConfig
from .volumes import EmptyDirVolume


class PodSpec(msgspec.Struct, frozen=True):
    """A pod; `PodBuilder.build` returns one that passed validation, and spawning one checks it again.

    Attributes:
        id: unique among the pods that live on the store.
        vm_config: its sandbox.
        pod_store: its store.
        empty_dirs: the volumes that its containers may mount.
        containers: those that start with the pod; more can be added while it runs.
        host_name: what the sandbox and its containers see as host name; the id when None.
        surroundings: DNS, hosts and kernel settings of its containers.
        shares_processes: whether its containers see, and may signal, each other's processes.
        init_containers: started one after the other before the containers, each after the end of the one before, or,
            if that is a sidecar, once it has come up.
        restart_policy: what becomes of a container that ended.
        host_paths: what of the host its containers may mount; the runtime's configuration has to allow it.
        resources: what all containers together may use; the sandbox's own limits, `vm_config`, also hold its agent.
        port_forwards: ports of the host that lead to the pod's, from before its containers start until its end.
    """

    id: PodId
    vm_config: VmConfig = VmConfig()
    pod_store: PodStoreSpec = PodStoreSpec()
    empty_dirs: tuple[EmptyDirVolume, ...] = ()
    containers: tuple[PodContainerSpec, ...] = ()
    host_name: str | None = None
    surroundings: Surroundings = Surroundings()
    shares_processes: bool = False
    resources: ResourceLimits = ResourceLimits()
    init_containers: tuple[PodContainerSpec, ...] = ()
    restart_policy: RestartPolicy = RestartPolicy.NEVER
    host_paths: tuple[HostPathVolume, ...] = ()
    port_forwards: tuple[PortForward, ...] = ()

    if TYPE_CHECKING:

        def __init__(
            self,
            id: str,  # noqa: A002 - the public name of this parameter
            vm_config: VmConfig = VmConfig(),  # noqa: B008 - immutable
            pod_store: PodStoreSpec = PodStoreSpec(),  # noqa: B008 - immutable
            empty_dirs: Iterable[EmptyDirVolume] = (),
            containers: Iterable[PodContainerSpec] = (),
            host_name: str | None = None,
            surroundings: Surroundings = Surroundings(),  # noqa: B008 - immutable
            shares_processes: bool = False,
            resources: ResourceLimits = ResourceLimits(),  # noqa: B008 - immutable
            init_containers: Iterable[PodContainerSpec] = (),
            restart_policy: RestartPolicy | str = RestartPolicy.NEVER,
            host_paths: Iterable[HostPathVolume] = (),
            port_forwards: Iterable[PortForward] = (),
        ) -> None: ...

    @property
    def volumes(self) -> tuple[EmptyDirVolume | HostPathVolume, ...]:
        """All that its containers may mount by name."""
        return (*self.empty_dirs, *self.host_paths)

    @property
    def networked_surroundings(self) -> Surroundings:
        """`surroundings`, with the resolver that the sandbox's network has where no other is asked for."""
        if self.surroundings.dns is not None or self.vm_config.network is not Network.USER:
            return self.surroundings
        return replace(self.surroundings, dns=USER_NETWORK_DNS)

    def __post_init__(self) -> None:
        force_setattr(self, "id", PodId(self.id))
        force_setattr(self, "empty_dirs", tuple(self.empty_dirs))
        force_setattr(self, "host_paths", tuple(self.host_paths))
        force_setattr(self, "containers", tuple(self.containers))
        force_setattr(self, "init_containers", tuple(self.init_containers))
        force_setattr(self, "restart_policy", RestartPolicy(self.restart_policy))
        force_setattr(self, "port_forwards", tuple(self.port_forwards))


class PodBuilder:
    """Collects a pod; every setter returns a new builder."""

    __slots__ = ("_spec",)

    def __init__(
        self,
        id: str,  # noqa: A002 - the public name of this parameter
        vm_config: VmConfig | None = None,
        pod_store: PodStoreSpec | None = None,
    ) -> None:
        """Begin a pod.

        Raises:
            InvalidId: the id breaks the rule of ids.
        """
        self._spec = PodSpec(id, vm_config or VmConfig(), pod_store or PodStoreSpec())

    def _with(self, spec: PodSpec) -> Self:
        builder = type(self)(spec.id)
        builder._spec = spec
        return builder

    @property
    def id(self) -> PodId:
        """The pod's id."""
        return self._spec.id

    @property
    def pod_store(self) -> PodStoreSpec:
        """The pod's store."""
        return self._spec.pod_store

    @property
    def empty_dirs(self) -> tuple[EmptyDirVolume, ...]:
        """The volumes so far."""
        return self._spec.empty_dirs

    @property
    def containers(self) -> tuple[PodContainerSpec, ...]:
        """The containers so far."""
        return self._spec.containers

    def empty_dir(self, volume: EmptyDirVolume) -> Self:
        """Declare an emptyDir."""
        return self._with(replace(self._spec, empty_dirs=(*self.empty_dirs, volume)))

    def host_path(self, volume: HostPathVolume) -> Self:
        """Declare a path of the host as a volume."""
        return self._with(replace(self._spec, host_paths=(*self._spec.host_paths, volume)))

    def container(self, container: PodContainerSpec) -> Self:
        """Add a container that starts with the pod."""
        return self._with(replace(self._spec, containers=(*self.containers, container)))

    def init_container(self, container: PodContainerSpec) -> Self:
        """Add a container that runs to its end, or is a sidecar and goes on, before the containers start."""
        return self._with(replace(self._spec, init_containers=(*self._spec.init_containers, container)))

    def restart_policy(self, policy: RestartPolicy | str) -> Self:
        """Say what becomes of containers that ended: `never` (the default), `on-failure` or `always`."""
        return self._with(replace(self._spec, restart_policy=RestartPolicy(policy)))

    def hostname(self, name: str) -> Self:
        """Set the pod's host name."""
        return self._with(replace(self._spec, host_name=name))

    def limits(self, *, memory: int | None = None, cpus: float | None = None, pids: int | None = None) -> Self:
        """Limit memory (bytes), processors' worth of time, and processes of all containers together."""
        return self._with(replace(self._spec, resources=ResourceLimits(memory, cpus, pids)))

    def dns(self, config: DnsConfig) -> Self:
        """Let the containers look names up in this way; without it they keep their images' resolv.conf."""
        return self._surrounded(dns=config)

    def hosts(self, *entries: HostEntry) -> Self:
        """Let the containers have these lines in /etc/hosts, beside those for localhost and their own name."""
        return self._surrounded(hosts=entries)

    def sysctl(self, settings: Mapping[str, str]) -> Self:
        """Set kernel settings that belong to a pod: net.*, kernel.shm*, kernel.msg*, kernel.sem, fs.mqueue.*."""
        return self._surrounded(sysctls=(*self._spec.surroundings.sysctls, *settings.items()))

    def forward_port(self, container_port: int, host_port: int = 0, host_address: str = LOOPBACK) -> Self:
        """Let connections to a TCP port of the host (0: any free one) go to a port that a container listens on."""
        forward = PortForward(container_port, host_port, host_address)
        return self._with(replace(self._spec, port_forwards=(*self._spec.port_forwards, forward)))

    def share_process_namespace(self, enabled: bool = True) -> Self:
        """Let the containers see, and signal, each other's processes; process 1 is then none of theirs."""
        return self._with(replace(self._spec, shares_processes=enabled))

    def _surrounded(self, **changes: object) -> Self:
        return self._with(replace(self._spec, surroundings=replace(self._spec.surroundings, **changes)))

    def validate(self) -> None:
        """Check the whole pod.

        Raises:
            InvalidPodSpec: with every problem there is.
        """
        validate_pod(self._spec)

    def build(self) -> PodSpec:
        """Return the pod's spec.

        Raises:
            InvalidPodSpec: with every problem there is.
        """
        validate_pod(self._spec)
        return self._spec


def validate_pod(spec: PodSpec) -> None:
    """Check a pod before anything boots.

    Raises:
        InvalidPodSpec: with every problem there is.
    """
    problems = (
        *surroundings_problems(spec.surroundings, "", of_pod=True),
        *port_forward_problems(spec.port_forwards, "portForwards"),
        *pod_problems(
            spec.volumes,
            spec.containers,
            spec.vm_config,
            spec.host_name,
            spec.resources,
            init_containers=spec.init_containers,
        ),
    )
    if problems:
        raise InvalidPodSpec(spec.id, problems)
