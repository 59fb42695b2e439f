"""Image config and container spec to an OCI runtime spec, as users of docker expect it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

import msgspec
from msgspec.structs import replace

from .container_spec import PodContainerSpec, ProcessOptions, ResourceLimits
from .errors import InvalidArgument
from .guest_path import GuestPath
from .image import ImageConfig, Platform
from .layout import CONTAINER_INIT, CONTAINER_INIT_PROGRAM, POD_PROCESS_NAMESPACE
from .linux_capabilities import chosen_capabilities
from .linux_signals import SIGTERM, signal_number
from .mounts import Mount, normalised_destination
from .oci_runtime import (
    ConsoleSize,
    Linux,
    LinuxCapabilities,
    LinuxCpu,
    LinuxDeviceCgroup,
    LinuxMemory,
    LinuxNamespace,
    LinuxPids,
    LinuxResources,
    Process,
    Rlimit,
    Root,
    RuntimeSpec,
    User,
)
from .process_validation import process_problems
from .rootfs_source import OciBundleRootfs
from .seccomp import default_seccomp

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CPU_PERIOD_USEC = 100_000
_CPU_QUOTA_MINIMUM_USEC = 1_000  # the kernel takes no less

_BEYOND_QUOTAS = frozenset({"CAP_SYS_ADMIN", "CAP_SYS_RESOURCE"})

# No network namespace: the containers of a pod share the sandbox's.
_NAMESPACES = tuple(LinuxNamespace(kind) for kind in ("pid", "mount", "ipc", "uts", "cgroup"))

STANDARD_MOUNTS = (
    Mount.proc(),
    Mount.tmpfs("/dev", "nosuid", "strictatime", "mode=755", "size=65536k"),
    Mount.devpts(),
    Mount.mqueue(),
    Mount("/dev/shm", "tmpfs", "shm", ("nosuid", "noexec", "nodev", "mode=1777", "size=65536k")),
    Mount.sysfs(),
    Mount.cgroup(),
)

_INIT_PREFIX = (str(CONTAINER_INIT), "--")
# On the /dev that every container has of its own: nothing is made in its root filesystem.
_INIT_MOUNT = Mount(str(CONTAINER_INIT), "bind", str(CONTAINER_INIT_PROGRAM), ("bind", "ro", "nosuid", "nodev"))

MASKED_PATHS = (
    "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
    "/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats",
    "/sys/devices/virtual/powercap", "/sys/firmware",
)  # fmt: skip
READONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")

# Nothing but these may be opened; any node may be made (CAP_MKNOD permitting), as docker has it.
_DEVICES = (
    LinuxDeviceCgroup(False, "rwm"),
    LinuxDeviceCgroup(True, "m", "c"),
    LinuxDeviceCgroup(True, "m", "b"),
    *(LinuxDeviceCgroup(True, "rwm", "c", 1, minor) for minor in (3, 5, 7, 8, 9)),  # null zero full random urandom
    *(LinuxDeviceCgroup(True, "rwm", "c", 5, minor) for minor in (0, 1, 2)),  # tty console ptmx
    LinuxDeviceCgroup(True, "rwm", "c", 136),  # pseudo terminals
)


def container_runtime_spec(
    spec: PodContainerSpec,
    image: ImageConfig | None,
    rootfs: GuestPath,
    host_name: str,
    volume_mounts: tuple[Mount, ...] = (),
    file_mounts: tuple[Mount, ...] = (),
    sysctls: Mapping[str, str] | None = None,
    shares_processes: bool = False,
) -> RuntimeSpec:
    """The runtime spec of a container whose root filesystem lies at `rootfs`.

    `host_name` is the pod's, for a container that has none of its own; `volume_mounts` bind the pod's volumes.
    `file_mounts` bind files of the pod, unless the container has its own mount in their place.
    HOME is left to the agent when nobody set it, for only the rootfs's passwd file knows it.
    """
    image = image or ImageConfig()
    capabilities = chosen_capabilities(spec.process.capabilities_add, spec.process.capabilities_drop)
    process = _process(spec.process, image, capabilities)
    if spec.has_init and process.args:
        process = replace(process, args=(*_INIT_PREFIX, *process.args))
    init_mounts = (_INIT_MOUNT,) if spec.has_init else ()
    return RuntimeSpec(
        process=process,
        root=Root(rootfs, spec.root_read_only),
        mounts=_ordered((*STANDARD_MOUNTS, *file_mounts, *spec.mounts, *volume_mounts, *init_mounts)),
        hostname=spec.host_name or host_name,
        linux=Linux(
            cgroups_path=f"/container/{spec.id}",
            namespaces=_namespaces(shares_processes),
            resources=_resources(spec.resources),
            masked_paths=MASKED_PATHS,
            readonly_paths=READONLY_PATHS,
            sysctl=dict(sysctls) if sysctls else msgspec.UNSET,
            seccomp=default_seccomp(
                capabilities,
                _platform(spec).architecture,
                keeps_projects=spec.writable_layer_bytes is not None,
            ),
        ),
    )


def quota_suffices(spec: PodContainerSpec) -> bool:
    """Whether the container's limit may be a project quota: its processes can neither exceed one nor switch it off.

    See capabilities(7). That they cannot leave their project is what `container_runtime_spec` sees to.
    """
    if spec.writable_layer_bytes is None:
        return False
    chosen = chosen_capabilities(spec.process.capabilities_add, spec.process.capabilities_drop)
    return not _BEYOND_QUOTAS & set(chosen)


def _namespaces(shares_processes: bool) -> tuple[LinuxNamespace, ...]:
    if not shares_processes:
        return _NAMESPACES
    return (LinuxNamespace("pid", str(POD_PROCESS_NAMESPACE)), *(one for one in _NAMESPACES if one.type != "pid"))


def exec_runtime_spec(container: RuntimeSpec, options: ProcessOptions) -> RuntimeSpec:
    """The runtime spec of a further process in `container`, of which only `process` counts.

    It inherits environment (overridden per variable), working directory, user, capabilities, limits and
    `noNewPrivileges`; its arguments and whether it has a terminal are its own.

    Raises:
        InvalidArgument: it has no command, or an option breaks a rule; the message has every problem.
    """
    problems = "; ".join(str(problem) for problem in process_problems(options, "exec"))
    if problems or not options.args:
        raise InvalidArgument(f"process cannot run: {problems or 'an exec needs a command'}")
    inherited = container.process
    process = replace(
        inherited,
        args=options.args,
        env=_environment(inherited.env, options.environment, options.terminal),
        cwd=_working_dir(options.working_dir or inherited.cwd),
        user=_exec_user(inherited.user, options),
        terminal=options.terminal,
        capabilities=_exec_capabilities(inherited.capabilities, options),
        rlimits=_rlimits(options, inherited.rlimits),
        console_size=_console_size(options),
    )
    # The container's filter applies to all of its processes, so it need not travel again.
    return replace(container, process=process, linux=replace(container.linux, seccomp=msgspec.UNSET))


def encoded(spec: RuntimeSpec) -> bytes:
    """The spec as JSON."""
    return msgspec.json.encode(spec, enc_hook=_plain)


def for_strict_agents(spec: RuntimeSpec) -> RuntimeSpec:
    """The same spec for an agent whose decoder wants keys that crun would take at their word when empty.

    Agents of the first service other than vminitd need `linux.namespaces[].path` and `linux.resources.cpu.cpus/mems`.
    """
    namespaces = tuple(replace(one, path=one.path or "") for one in spec.linux.namespaces)
    resources = spec.linux.resources
    if resources.cpu is not msgspec.UNSET:
        cpu = replace(resources.cpu, cpus=resources.cpu.cpus or "", mems=resources.cpu.mems or "")
        resources = replace(resources, cpu=cpu)
    return replace(spec, linux=replace(spec.linux, namespaces=namespaces, resources=resources))


def stop_signal(image: ImageConfig | None) -> int:
    """The signal that asks a container of this image to end; SIGTERM when the image names none that exists."""
    named = signal_number(image.stop_signal) if image is not None else None
    return SIGTERM if named is None else named


def _plain(value: object) -> str | int:
    """The built-in value behind a GuestPath, an id or a Size, which msgspec does not take for a str or int."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return int(value)
    raise TypeError(f"{type(value).__name__} has no place in a runtime spec")


def _platform(spec: PodContainerSpec) -> Platform:
    match spec.rootfs:
        case OciBundleRootfs(bundle):
            return bundle.platform
        case _:
            return Platform.current()


def _process(options: ProcessOptions, image: ImageConfig, capabilities: tuple[str, ...]) -> Process:
    return Process(
        args=options.args or (*image.entrypoint, *image.command),
        env=_environment((f"PATH={DEFAULT_PATH}", *image.environment), options.environment, options.terminal),
        cwd=_working_dir(options.working_dir or image.working_dir),
        user=User(username=options.user or image.user, additional_gids=options.additional_gids),
        terminal=options.terminal,
        capabilities=_capability_sets(capabilities),
        no_new_privileges=options.no_new_privileges,
        rlimits=_rlimits(options),
        console_size=_console_size(options),
    )


def _environment(inherited: Iterable[str], changes: Iterable[tuple[str, str]], terminal: bool) -> tuple[str, ...]:
    variables: dict[str, str] = {}
    for text in inherited:
        key, equals, value = text.partition("=")
        if key and equals:
            variables[key] = value
    variables.update(changes)
    if terminal:
        variables.setdefault("TERM", "xterm")
    return tuple(f"{key}={value}" for key, value in variables.items())


def _console_size(options: ProcessOptions) -> ConsoleSize | msgspec.UnsetType:
    return ConsoleSize(options.terminal_size.rows, options.terminal_size.columns) if options.terminal else msgspec.UNSET


def _working_dir(path: str) -> str:
    return str(PurePosixPath("/", path.lstrip("/")))


def _capability_sets(capabilities: tuple[str, ...]) -> LinuxCapabilities:
    """The sets of docker: for a user other than root, execve(2) empties all but the bounding set."""
    return LinuxCapabilities(bounding=capabilities, effective=capabilities, permitted=capabilities)


def _exec_user(inherited: User, options: ProcessOptions) -> User:
    if options.user is None and not options.additional_gids:
        return inherited
    gids = options.additional_gids or inherited.additional_gids
    return replace(inherited, username=options.user or inherited.username, additional_gids=gids)


def _exec_capabilities(inherited: LinuxCapabilities, options: ProcessOptions) -> LinuxCapabilities:
    if not (options.capabilities_add or options.capabilities_drop):
        return inherited
    return _capability_sets(
        chosen_capabilities(options.capabilities_add, options.capabilities_drop, inherited.bounding)
    )


def _rlimits(options: ProcessOptions, inherited: tuple[Rlimit, ...] = ()) -> tuple[Rlimit, ...]:
    limits = {limit.type: limit for limit in inherited}
    limits.update((limit.type, Rlimit(limit.type, limit.hard, limit.soft)) for limit in options.rlimits)
    return tuple(limits.values())


def _ordered(mounts: Iterable[Mount]) -> tuple[Mount, ...]:
    """The mounts, parents first; a later one replaces an earlier one of the same destination."""
    by_destination: dict[str, Mount] = {}
    for mount in mounts:
        destination = normalised_destination(mount.destination)
        by_destination[destination] = replace(mount, destination=destination)
    return tuple(sorted(by_destination.values(), key=lambda mount: mount.destination.count("/")))


def _resources(limits: ResourceLimits) -> LinuxResources:
    memory, cpus, pids = limits.memory_bytes, limits.cpus, limits.pids
    return LinuxResources(
        devices=_DEVICES,
        # Swap counts memory and swap together: equal means that the container gets no swap.
        memory=msgspec.UNSET if memory is None else LinuxMemory(limit=memory, swap=memory),
        cpu=msgspec.UNSET if cpus is None else LinuxCpu(quota=_cpu_quota(cpus), period=CPU_PERIOD_USEC),
        pids=msgspec.UNSET if pids is None else LinuxPids(limit=pids),
    )


def _cpu_quota(cpus: float) -> int:
    return max(round(cpus * CPU_PERIOD_USEC), _CPU_QUOTA_MINIMUM_USEC)
