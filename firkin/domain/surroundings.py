"""What a container finds around its own files: names of other machines, and settings of the kernel."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import force_setattr

from .errors import SpecProblem
from .guest_path import GuestPath
from .mounts import Mount
from .name_resolution import (
    DnsConfig,
    HostEntry,
    dns_problems,
    hosts_file,
    hosts_problems,
    resolv_conf,
    standard_hosts,
)
from .sysctls import (
    container_sysctl_problems,
    is_ipc_sysctl,
    is_network_sysctl,
    pod_sysctl_problems,
    sysctl_path,
)

_FILE_MODE = 0o644


class Surroundings(msgspec.Struct, frozen=True):
    """Of a pod, or of one container; what a container has of its own replaces its pod's as a whole.

    Attributes:
        dns: how names are looked up; None for the pod's, or, where that has none, the image's resolv.conf.
        hosts: lines of /etc/hosts beside the standard ones; None for the pod's.
        sysctls: kernel settings, by their names; a container's are added to its pod's.
    """

    dns: DnsConfig | None = None
    hosts: tuple[HostEntry, ...] | None = None
    sysctls: tuple[tuple[str, str], ...] = ()

    if TYPE_CHECKING:

        def __init__(
            self,
            dns: DnsConfig | None = None,
            hosts: Iterable[HostEntry] | None = None,
            sysctls: Mapping[str, str] | Iterable[tuple[str, str]] = (),
        ) -> None: ...

    def __post_init__(self) -> None:
        if self.hosts is not None:
            force_setattr(self, "hosts", tuple(self.hosts))
        force_setattr(self, "sysctls", tuple(dict(self.sysctls).items()))

    def within(self, pod: Surroundings) -> Surroundings:
        """What a container with these has in a pod with those."""
        return Surroundings(
            pod.dns if self.dns is None else self.dns,
            pod.hosts if self.hosts is None else self.hosts,
            (*pod.sysctls, *self.sysctls),
        )

    @property
    def network_sysctls(self) -> dict[str, str]:
        """Those that are set in the sandbox, once for all containers."""
        return {name: value for name, value in self.sysctls if is_network_sysctl(name)}

    @property
    def ipc_sysctls(self) -> dict[str, str]:
        """Those that every container gets, in the notation of the OCI runtime specification."""
        return {sysctl_path(name).replace("/", "."): value for name, value in self.sysctls if is_ipc_sysctl(name)}


class ContainerFile(msgspec.Struct, frozen=True):
    """A file that is made beside a container's root filesystem and shown in it; the image keeps its own.

    Attributes:
        path: where it lies in the sandbox.
        destination: where the container sees it.
        data: what is in it.
        mode: permission bits.
    """

    path: GuestPath
    destination: str
    data: bytes
    mode: int = _FILE_MODE


def name_files(
    surroundings: Surroundings, directory: GuestPath, host_name: str, pod_host_name: str
) -> tuple[ContainerFile, ...]:
    """The files by which a container knows its own name and those of others, to be made in `directory`."""
    hosts = hosts_file((*standard_hosts(host_name, pod_host_name), *(surroundings.hosts or ())))
    texts = {"hostname": f"{host_name}\n", "hosts": hosts}
    if surroundings.dns is not None:
        texts["resolv.conf"] = resolv_conf(surroundings.dns)
    return tuple(ContainerFile(directory.below(name), f"/etc/{name}", text.encode()) for name, text in texts.items())


def file_mounts(files: Iterable[ContainerFile], read_only: bool) -> tuple[Mount, ...]:
    """The mounts that show `files` in a container."""
    mounts = (Mount(file.destination, "bind", file.path, ("bind", "rw")) for file in files)
    return tuple(mount.read_only() if read_only else mount for mount in mounts)


def surroundings_problems(surroundings: Surroundings, where: str, *, of_pod: bool) -> Iterator[SpecProblem]:
    """Yield every problem; `where` ends with a dot, or is empty."""
    for field, message in dns_problems(surroundings.dns) if surroundings.dns is not None else ():
        yield SpecProblem(f"{where}dns.{field}", "dns", message)
    for field, message in hosts_problems(surroundings.hosts or ()):
        yield SpecProblem(f"{where}hosts{field}", "hosts", message)
    check = pod_sysctl_problems if of_pod else container_sysctl_problems
    for name, message in check(dict(surroundings.sysctls)):
        yield SpecProblem(f"{where}sysctls[{name!r}]", "sysctl", message)
