"""Everything that can be wrong with a pod's spec, found without touching anything."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from .container_spec import PodContainerSpec, ResourceLimits
from .errors import InvalidGuestPath, InvalidRelativePath, SpecProblem
from .guest_path import GuestPath, checked_relative_path
from .host_paths import HostPathVolume, host_path_problems
from .mounts import Mount, normalised_destination
from .probes import Hooks, Probe, Probes, action_problem
from .process import Stdio
from .process_validation import group_problems, process_problems, text_problems
from .rootfs_source import Ext4ImageRootfs, GuestPathRootfs, OciBundleRootfs
from .surroundings import surroundings_problems
from .vm_config import MINIMUM_MEMORY, VmConfig
from .volumes import MAXIMUM_LIMIT, MINIMUM_DISK_LIMIT, EmptyDirVolume

RESERVED_DESTINATIONS = ("/proc", "/sys", "/dev")
_REPLACEABLE_DESTINATIONS = ("/dev/shm",)
_LIMIT_MAXIMUM = 2**63
_HOST_NAME = re.compile(
    r"(?=.{1,64}\Z)[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*"
)


Volume = EmptyDirVolume | HostPathVolume


def pod_problems(
    volumes: Iterable[Volume],
    containers: Iterable[PodContainerSpec],
    vm_config: VmConfig,
    host_name: str | None,
    resources: ResourceLimits = ResourceLimits(),  # noqa: B008 - immutable
    init_containers: Iterable[PodContainerSpec] = (),
) -> Iterator[SpecProblem]:
    """Yield every problem of a pod."""
    volumes, containers, init_containers = tuple(volumes), tuple(containers), tuple(init_containers)
    yield from _vm_problems(vm_config)
    yield from _host_name_problems("hostname", host_name)
    yield from _amount_problems("limits", resources)
    yield from _duplicates("volumes", "duplicate-volume", "volume", [volume.name for volume in volumes])
    yield from _duplicates(
        "containers", "duplicate-container", "container", [one.id for one in (*init_containers, *containers)]
    )
    host_paths = [volume for volume in volumes if isinstance(volume, HostPathVolume)]
    for index, host_path in enumerate(host_paths):
        for message in host_path_problems(host_path):
            yield SpecProblem(f"hostPaths[{index}]", "host-path", message)
    for index, volume in enumerate(one for one in volumes if isinstance(one, EmptyDirVolume)):
        yield from _size_limit_problems(volume, f"emptyDirs[{index}].sizeLimit")
        yield from _file_problems(volume, f"emptyDirs[{index}].files")
        if volume.group_id is not None:
            yield from group_problems(volume.group_id, f"emptyDirs[{index}].groupId")
    for name, specs in (("initContainers", init_containers), ("containers", containers)):
        for index, container in enumerate(specs):
            yield from container_problems(container, volumes, f"{name}[{index}]", resources)
    for index, container in enumerate(init_containers):
        if not container.is_sidecar and (container.probes != Probes() or container.hooks != Hooks()):
            message = f"init container {container.id!r} runs to its end: it cannot have probes or hooks"
            yield SpecProblem(f"initContainers[{index}]", "init-probes", message)


def _file_problems(volume: EmptyDirVolume, where: str) -> Iterator[SpecProblem]:
    paths = [file.path for file in volume.files]
    yield from _duplicates(where, "duplicate-file", f"file of volume {volume.name!r}", paths)
    for file in volume.files:
        try:
            checked_relative_path(file.path)
        except InvalidRelativePath as error:
            yield SpecProblem(where, "file-path", f"volume {volume.name!r}: {error}")
        if not 0 <= file.mode <= 0o777:
            yield SpecProblem(where, "file-mode", f"mode {file.mode:o} of {file.path!r} is not within 0 and 777")


def _size_limit_problems(volume: EmptyDirVolume, where: str) -> Iterator[SpecProblem]:
    limit = volume.size_limit
    if limit == 0:
        yield SpecProblem(where, "zero-size", f"emptyDir {volume.name!r} has a size limit of 0")
    elif limit is not None and limit < volume.minimum_limit:
        message = f"an emptyDir in medium {volume.medium} cannot be limited to less than {volume.minimum_limit}"
        yield SpecProblem(where, "size-limit", f"{message}: emptyDir {volume.name!r} has {limit}")
    elif limit is not None and limit > MAXIMUM_LIMIT:
        message = f"emptyDir {volume.name!r} cannot be limited to more than {MAXIMUM_LIMIT}"
        yield SpecProblem(where, "size-limit", message)


def container_problems(
    spec: PodContainerSpec,
    volumes: Iterable[Volume],
    where: str = "container",
    pod_resources: ResourceLimits = ResourceLimits(),  # noqa: B008 - immutable
) -> Iterator[SpecProblem]:
    """Yield every problem of one container of a pod that declares `volumes` and has limits of its own."""
    if spec.is_sidecar and not where.startswith("initContainers"):
        message = f"container {spec.id!r} is a sidecar, which only an init container can be"
        yield SpecProblem(where, "sidecar", message)
    yield from _rootfs_problems(spec, where)
    yield from process_problems(spec.process, where)
    if spec.process.terminal and spec.stdio.stderr != Stdio.NULL:
        message = "with a terminal, everything arrives on stdout: stderr cannot go elsewhere"
        yield SpecProblem(f"{where}.stderr", "terminal-stderr", message)
    if spec.stdio.stdin == Stdio.LOG:
        yield SpecProblem(f"{where}.stdin", "stdin-log", "standard input cannot come from a log")
    if spec.log_max_bytes < 1:
        message = f"a log keeps at least 1 byte, not {spec.log_max_bytes}"
        yield SpecProblem(f"{where}.log", "log-size", message)
    yield from _host_name_problems(f"{where}.hostname", spec.host_name)
    yield from _mount_problems(spec, {volume.name: volume for volume in volumes}, where)
    yield from surroundings_problems(spec.surroundings, f"{where}.", of_pod=False)
    yield from _limit_problems(spec, where, pod_resources)
    yield from _probe_problems(spec.probes, where)
    yield from _hook_problems(spec.hooks, where)


def _vm_problems(config: VmConfig) -> Iterator[SpecProblem]:
    if config.cpus is not None and config.cpus < 1:
        yield SpecProblem("vm.cpus", "cpus", f"a VM needs at least one processor, not {config.cpus}")
    if config.memory is not None and config.memory < MINIMUM_MEMORY:
        yield SpecProblem("vm.memory", "memory", f"a VM needs at least {MINIMUM_MEMORY}, not {config.memory}")
    if not config.boot_timeout_seconds > 0:
        yield SpecProblem("vm.bootTimeoutSeconds", "timeout", "the boot timeout must be more than 0 s")


def _host_name_problems(where: str, name: str | None) -> Iterator[SpecProblem]:
    if name is not None and _HOST_NAME.fullmatch(name) is None:
        message = f"host name {name!r} is not 1 to 64 characters of dot-separated letters, digits and inner hyphens"
        yield SpecProblem(where, "host-name", message)


def _duplicates(where: str, code: str, kind: str, names: list[str]) -> Iterator[SpecProblem]:
    for name, count in Counter(names).items():
        if count > 1:
            yield SpecProblem(where, code, f"{kind} {name!r} is declared {count} times")


def _rootfs_problems(spec: PodContainerSpec, where: str) -> Iterator[SpecProblem]:
    match spec.rootfs:
        case Ext4ImageRootfs(path):
            message = f"ext4 image {path} cannot be a rootfs yet: use an OCI bundle or a guest path"
            yield SpecProblem(f"{where}.rootfs", "rootfs-unsupported", message)
        case GuestPathRootfs(path):
            if _covers(path, RESERVED_DESTINATIONS):
                yield SpecProblem(f"{where}.rootfs", "rootfs-reserved", f"{path} is the kernel's own and no rootfs")
            if not spec.process.args:
                message = "a rootfs without an image needs a command"
                yield SpecProblem(f"{where}.command", "command-missing", message)
        case OciBundleRootfs(bundle):
            if not (spec.process.args or bundle.config.entrypoint or bundle.config.command):
                message = f"neither the spec nor image {bundle.reference!r} has a command"
                yield SpecProblem(f"{where}.command", "command-missing", message)


def _mount_problems(spec: PodContainerSpec, volumes: Mapping[str, Volume], where: str) -> Iterator[SpecProblem]:
    places: list[tuple[str, str]] = []
    for index, mount in enumerate(spec.mounts):
        at = f"{where}.mounts[{index}]"
        places.append((at, normalised_destination(mount.destination)))
        yield from _one_mount_problems(at, mount)
    for index, mounted in enumerate(spec.empty_dir_mounts):
        at = f"{where}.emptyDirMounts[{index}]"
        places.append((at, mounted.container_path))
        if mounted.volume not in volumes:
            message = f"container {spec.id!r} references unknown volume {mounted.volume!r}"
            yield SpecProblem(at, "unknown-volume", message)
        elif mounted.sub_path:
            yield from _sub_path_problems(mounted.sub_path, volumes[mounted.volume], at)
    for at, destination in places:
        if _covers(destination, RESERVED_DESTINATIONS) and destination not in _REPLACEABLE_DESTINATIONS:
            message = f"{destination} belongs to the container's standard mounts"
            yield SpecProblem(at, "mount-reserved", message)
    destinations = [destination for _, destination in places]
    yield from _duplicates(f"{where}.mounts", "duplicate-mount", "mount destination", destinations)


def _sub_path_problems(path: str, volume: Volume, where: str) -> Iterator[SpecProblem]:
    try:
        checked_relative_path(path)
    except InvalidRelativePath as error:
        yield SpecProblem(where, "sub-path", f"volume {volume.name!r}: {error}")
        return
    if isinstance(volume, EmptyDirVolume) and volume.files and not volume.holds(path):
        message = f"volume {volume.name!r} has no file {path!r} from the beginning"
        yield SpecProblem(where, "sub-path", message)


def _one_mount_problems(where: str, mount: Mount) -> Iterator[SpecProblem]:
    try:
        GuestPath(normalised_destination(mount.destination))
    except InvalidGuestPath as error:
        message = f"mount destination {mount.destination!r} is invalid: {error.reason}"
        yield SpecProblem(where, "mount-destination", message)
    if mount.type == "bind" and not mount.source.startswith("/"):
        yield SpecProblem(where, "mount-source", f"bind source {mount.source!r} is not an absolute path of the sandbox")
    for text in (mount.source, mount.type, *mount.options):
        yield from text_problems(where, text)


def _covers(path: str, roots: tuple[str, ...]) -> bool:
    return any(path == root or path.startswith(root + "/") for root in roots)


def _limit_problems(spec: PodContainerSpec, where: str, pod_resources: ResourceLimits) -> Iterator[SpecProblem]:
    yield from _amount_problems(f"{where}.limits", spec.resources)
    # The kernel refuses it of processors; of the rest it would never be reached.
    for name, amount in _amounts(spec.resources).items():
        whole = _amounts(pod_resources)[name]
        if amount is not None and whole is not None and amount > whole:
            message = f"the limit of {name}, {amount}, is more than that of the pod, {whole}"
            yield SpecProblem(f"{where}.limits.{name}", "limit-beyond-pod", message)
    yield from _layer_problems(spec, f"{where}.writableLayer")
    if not spec.grace_seconds >= 0:
        yield SpecProblem(f"{where}.grace", "grace", "the grace period must be 0 s or more")


def _layer_problems(spec: PodContainerSpec, where: str) -> Iterator[SpecProblem]:
    limit = spec.writable_layer_bytes
    if limit is None:
        return
    if not MINIMUM_DISK_LIMIT <= limit <= MAXIMUM_LIMIT:
        bounds = f"{MINIMUM_DISK_LIMIT} at least and {MAXIMUM_LIMIT} at most"
        yield SpecProblem(where, "size-limit", f"a writable layer is limited to {bounds}, not {limit}")
    if isinstance(spec.rootfs, GuestPathRootfs):
        yield SpecProblem(where, "no-layer", "a rootfs that is used as it is has no writable layer to limit")


def _probe_problems(probes: Probes, where: str) -> Iterator[SpecProblem]:
    for name in ("startup", "liveness", "readiness"):
        probe: Probe | None = getattr(probes, name)
        if probe is None:
            continue
        at = f"{where}.{name}Probe"
        if (wrong := action_problem(probe.action)) is not None:
            yield SpecProblem(at, "probe", f"a probe cannot be made: {wrong}")
        if not (probe.initial_delay_seconds >= 0 and probe.period_seconds > 0 and probe.timeout_seconds > 0):
            yield SpecProblem(at, "probe", "its delay must be 0 s or more, its period and timeout more than 0 s")
        if probe.success_threshold < 1 or probe.failure_threshold < 1:
            yield SpecProblem(at, "probe", "its thresholds must be 1 or more")
        if probe.success_threshold != 1 and name != "readiness":
            yield SpecProblem(at, "probe", "only a readiness probe can ask for more than one success in a row")


def _hook_problems(hooks: Hooks, where: str) -> Iterator[SpecProblem]:
    for name, action in (("postStart", hooks.post_start), ("preStop", hooks.pre_stop)):
        if action is not None and (wrong := action_problem(action)) is not None:
            yield SpecProblem(f"{where}.{name}", "hook", f"a hook cannot be made: {wrong}")


def _amount_problems(where: str, resources: ResourceLimits) -> Iterator[SpecProblem]:
    for name, amount in _amounts(resources).items():
        if amount is not None and not 0 < amount < _LIMIT_MAXIMUM:
            message = f"the limit of {name} must be a number more than 0, not {amount}"
            yield SpecProblem(f"{where}.{name}", "limit", message)


def _amounts(resources: ResourceLimits) -> dict[str, float | None]:
    return {"memory": resources.memory_bytes, "cpus": resources.cpus, "pids": resources.pids}
