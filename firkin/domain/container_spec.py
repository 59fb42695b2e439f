"""What a container of a pod is to be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Self

import msgspec
from msgspec.structs import force_setattr, replace

from .ids import ContainerId
from .mounts import Mount
from .name_resolution import DnsConfig, HostEntry
from .output_log import DEFAULT_LOG_BYTES
from .probes import ExecAction, HookAction, Hooks, Probe, Probes
from .process import Stdio, StdioOptions
from .rootfs_source import AnyRootfs
from .size import Size
from .surroundings import Surroundings
from .terminal import TerminalSize
from .volumes import EmptyDirMount

DEFAULT_GRACE_SECONDS = 10.0


class ResourceLimits(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a container may use at most.

    Attributes:
        memory_bytes: memory and page cache together, or None.
        cpus: processors' worth of time (0.5 is half of one), or None.
        pids: processes and threads, or None.
    """

    memory_bytes: int | None = None
    cpus: float | None = None
    pids: int | None = None


class ResourceLimit(msgspec.Struct, frozen=True):
    """One POSIX rlimit, by the name that setrlimit(2) has for it (`RLIMIT_NOFILE`)."""

    type: str
    soft: int
    hard: int


class ProcessOptions(msgspec.Struct, frozen=True):
    """How a process is to be run; what is None or empty comes from the image (or, for an exec, the container).

    Attributes:
        args: the command and its arguments; replaces entrypoint and command of the image.
        environment: variables in the order they were given; each overrides the image's variable of that name.
        working_dir: where it starts.
        user: `name`, `uid`, `name:group` or `uid:gid`.
        capabilities_add, capabilities_drop: changes to the default set; `ALL` is understood.
        rlimits: POSIX limits.
        additional_gids: groups that the process is in beside those of its user.
        terminal: whether it gets a pseudo terminal.
        terminal_size: how large that is at first.
        no_new_privileges: whether set-uid programs are without effect.
    """

    args: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    working_dir: str | None = None
    user: str | None = None
    capabilities_add: tuple[str, ...] = ()
    capabilities_drop: tuple[str, ...] = ()
    rlimits: tuple[ResourceLimit, ...] = ()
    terminal: bool = False
    no_new_privileges: bool = True
    additional_gids: tuple[int, ...] = ()
    terminal_size: TerminalSize = TerminalSize()


class PodContainerSpec(msgspec.Struct, frozen=True):
    """A container of a pod. Every setter returns a new spec:

        PodContainerSpec("web", RootfsSource.oci_bundle(bundle)).command("sh", "-c", "id").env("K", "V")

    Attributes:
        id: unique in the pod.
        rootfs: from where its root filesystem comes.
        process, stdio: how its init process runs, and where its streams go.
        mounts: mounts beside the standard ones.
        empty_dir_mounts: which of the pod's volumes, of either kind, it sees, and where.
        host_name: its host name; the pod's id when None.
        resources: its limits.
        writable_layer_bytes: what it may write to its root filesystem at most, beside its volumes, or None: at least
            1 MiB. Who writes beyond it gets EDQUOT where a project quota holds it, and ENOSPC elsewhere.
        root_read_only: whether its root filesystem refuses writing.
        grace_seconds: how long a stop waits, after asking, before it kills.
        surroundings: DNS, hosts and kernel settings of its own, instead of the pod's.
        probes, hooks: what asks how it is, and what its start and its stop do.
        log_max_bytes: how much is kept of what it writes to streams that are `Stdio.LOG`; the oldest goes first.
        is_sidecar: whether it is an init container that goes on beside the others.
        has_init: whether its first process is an init, of which its command is a child.
    """

    id: ContainerId
    rootfs: AnyRootfs
    process: ProcessOptions = ProcessOptions()
    stdio: StdioOptions = StdioOptions()
    mounts: tuple[Mount, ...] = ()
    empty_dir_mounts: tuple[EmptyDirMount, ...] = ()
    host_name: str | None = None
    resources: ResourceLimits = ResourceLimits()
    root_read_only: bool = False
    grace_seconds: float = DEFAULT_GRACE_SECONDS
    surroundings: Surroundings = Surroundings()
    probes: Probes = Probes()
    hooks: Hooks = Hooks()
    log_max_bytes: int = DEFAULT_LOG_BYTES
    is_sidecar: bool = False
    writable_layer_bytes: Size | None = None
    has_init: bool = False

    if TYPE_CHECKING:

        def __init__(
            self,
            id: str,  # noqa: A002 - the public name of this parameter
            rootfs: AnyRootfs,
            process: ProcessOptions = ProcessOptions(),  # noqa: B008 - immutable
            stdio: StdioOptions = StdioOptions(),  # noqa: B008 - immutable
            mounts: Iterable[Mount] = (),
            empty_dir_mounts: Iterable[EmptyDirMount] = (),
            host_name: str | None = None,
            resources: ResourceLimits = ResourceLimits(),  # noqa: B008 - immutable
            root_read_only: bool = False,
            grace_seconds: float = DEFAULT_GRACE_SECONDS,
            surroundings: Surroundings = Surroundings(),  # noqa: B008 - immutable
            probes: Probes = Probes(),  # noqa: B008 - immutable
            hooks: Hooks = Hooks(),  # noqa: B008 - immutable
            log_max_bytes: int = DEFAULT_LOG_BYTES,
            is_sidecar: bool = False,
            writable_layer_bytes: int | None = None,
            has_init: bool = False,
        ) -> None: ...

    def __post_init__(self) -> None:
        force_setattr(self, "id", ContainerId(self.id))
        force_setattr(self, "mounts", tuple(self.mounts))
        force_setattr(self, "empty_dir_mounts", tuple(self.empty_dir_mounts))
        if self.writable_layer_bytes is not None:
            force_setattr(self, "writable_layer_bytes", Size(self.writable_layer_bytes))

    def _with_process(self, **changes: object) -> Self:
        return replace(self, process=replace(self.process, **changes))

    def _with_stdio(self, **changes: Stdio) -> Self:
        return replace(self, stdio=replace(self.stdio, **changes))

    def command(self, *args: str) -> Self:
        """Run `args` instead of the image's entrypoint and command."""
        return self._with_process(args=args)

    def env(self, key: str, value: str) -> Self:
        """Set one environment variable, whatever the image has."""
        return self._with_process(environment=(*self.process.environment, (key, value)))

    def envs(self, variables: Mapping[str, str] | Iterable[tuple[str, str]]) -> Self:
        """Set several environment variables."""
        pairs = variables.items() if isinstance(variables, Mapping) else variables
        return self._with_process(environment=(*self.process.environment, *pairs))

    def working_dir(self, path: str) -> Self:
        """Start in `path`; it is made when it does not exist."""
        return self._with_process(working_dir=path)

    def user(self, user: str | int) -> Self:
        """Run as `name`, `uid`, `name:group` or `uid:gid`; names are those of the rootfs."""
        return self._with_process(user=str(user))

    def capabilities(self, add: Iterable[str] = (), drop: Iterable[str] = ()) -> Self:
        """Change the default capabilities."""
        return self._with_process(capabilities_add=tuple(add), capabilities_drop=tuple(drop))

    def rlimits(self, *limits: ResourceLimit) -> Self:
        """Set POSIX limits."""
        return self._with_process(rlimits=limits)

    def additional_groups(self, *gids: int) -> Self:
        """Let the process be in these groups, beside those of its user."""
        return self._with_process(additional_gids=gids)

    def tty(self, enabled: bool = True, size: tuple[int, int] = (80, 24)) -> Self:
        """Give the process a pseudo terminal of `size`, columns and rows; all of its output arrives on stdout.

        Raises:
            InvalidTerminalSize: a side is negative or more than 65535.
        """
        return self._with_process(terminal=enabled, terminal_size=TerminalSize(*size))

    def new_privileges(self, allowed: bool = True) -> Self:
        """Allow set-uid programs to raise privileges, which is refused by default."""
        return self._with_process(no_new_privileges=not allowed)

    def stdin(self, stdio: Stdio) -> Self:
        """Where standard input comes from."""
        return self._with_stdio(stdin=stdio)

    def stdout(self, stdio: Stdio) -> Self:
        """Where standard output goes."""
        return self._with_stdio(stdout=stdio)

    def stderr(self, stdio: Stdio) -> Self:
        """Where standard error goes."""
        return self._with_stdio(stderr=stdio)

    def log(self, max_bytes: int = DEFAULT_LOG_BYTES) -> Self:
        """Keep the newest `max_bytes` of stdout and stderr in a log, for `Container.logs` and `Container.attach`.

        With a terminal, which has to be asked for before, all output is that of stdout.
        """
        stderr = Stdio.NULL if self.process.terminal else Stdio.LOG
        return replace(self._with_stdio(stdout=Stdio.LOG, stderr=stderr), log_max_bytes=max_bytes)

    def mount(self, mount: Mount) -> Self:
        """Add a mount beside the standard ones."""
        return replace(self, mounts=(*self.mounts, mount))

    def empty_dir_mount(self, name: str, path: str, read_only: bool = False, sub_path: str = "") -> Self:
        """Show the pod's emptyDir `name`, or what it has at `sub_path`, at `path`.

        Raises:
            InvalidId, InvalidGuestPath: one of them breaks its rule.
        """
        added = EmptyDirMount(name, path, read_only, sub_path)
        return replace(self, empty_dir_mounts=(*self.empty_dir_mounts, added))

    def host_path_mount(self, name: str, path: str, read_only: bool = False, sub_path: str = "") -> Self:
        """Show the pod's hostPath volume `name`, or what it has at `sub_path`, at `path`.

        Raises:
            InvalidId, InvalidGuestPath: one of them breaks its rule.
        """
        return self.empty_dir_mount(name, path, read_only, sub_path)

    def hostname(self, name: str) -> Self:
        """Set the host name that the container sees."""
        return replace(self, host_name=name)

    def dns(self, config: DnsConfig) -> Self:
        """Look names up in this way, whatever the pod has."""
        return replace(self, surroundings=replace(self.surroundings, dns=config))

    def hosts(self, *entries: HostEntry) -> Self:
        """Have these lines in /etc/hosts beside the standard ones, instead of the pod's."""
        return replace(self, surroundings=replace(self.surroundings, hosts=entries))

    def sysctl(self, settings: Mapping[str, str]) -> Self:
        """Set kernel settings of its own namespaces (kernel.shm*, kernel.msg*, kernel.sem, fs.mqueue.*)."""
        sysctls = (*self.surroundings.sysctls, *settings.items())
        return replace(self, surroundings=replace(self.surroundings, sysctls=sysctls))

    def limits(self, *, memory: int | None = None, cpus: float | None = None, pids: int | None = None) -> Self:
        """Limit memory (bytes), processors' worth of time, and the number of processes."""
        return replace(self, resources=ResourceLimits(memory, cpus, pids))

    def writable_layer_limit(self, size_bytes: int) -> Self:
        """Limit what it may write to its root filesystem; its volumes have limits of their own.

        Raises:
            InvalidSize: the size is negative.
        """
        return replace(self, writable_layer_bytes=Size(size_bytes))

    def read_only_rootfs(self, enabled: bool = True) -> Self:
        """Refuse writing to the root filesystem."""
        return replace(self, root_read_only=enabled)

    def startup_probe(self, probe: Probe) -> Self:
        """Ask, before the other probes begin, whether it has come up; kill it when it has not in time."""
        return replace(self, probes=replace(self.probes, startup=probe))

    def liveness_probe(self, probe: Probe) -> Self:
        """Ask whether it still works, and kill it when it does not."""
        return replace(self, probes=replace(self.probes, liveness=probe))

    def readiness_probe(self, probe: Probe) -> Self:
        """Ask whether it is ready for work, which `Container.ready` then tells."""
        return replace(self, probes=replace(self.probes, readiness=probe))

    def post_start(self, *command: str) -> Self:
        """Run a command in it right after its start; when it fails, the container is killed."""
        return self.with_hooks(post_start=ExecAction(command))

    def pre_stop(self, *command: str) -> Self:
        """Run a command in it, within the grace period, before it is asked to end."""
        return self.with_hooks(pre_stop=ExecAction(command))

    def with_hooks(self, *, post_start: HookAction | None = None, pre_stop: HookAction | None = None) -> Self:
        """Do something at its start or its stop: run a command, send a GET request, or sleep."""
        hooks = Hooks(post_start or self.hooks.post_start, pre_stop or self.hooks.pre_stop)
        return replace(self, hooks=hooks)

    def sidecar(self, enabled: bool = True) -> Self:
        """Let an init container go on beside the others: `PodBuilder.init_container(spec.sidecar())`.

        What comes after it is started once it has come up: it runs, and its startup probe, when it has one, has
        succeeded. It is started again whenever it ends, whatever the pod's restart policy, and is stopped after the
        pod's other containers; the sidecar that came up last is stopped first.
        """
        return replace(self, is_sidecar=enabled)

    def init(self, enabled: bool = True) -> Self:
        """Let an init be its first process, and the command a child of that, as `docker run --init` does.

        The init passes signals on and exits as the command does. Signals that the command does not handle end it, which
        they do to no first process, and orphans are reaped, which a first process that is no init leaves as zombies.
        The sandbox needs catatonit for it.
        """
        return replace(self, has_init=enabled)

    def stop_grace(self, seconds: float) -> Self:
        """Wait `seconds` between asking the container to end and killing it."""
        return replace(self, grace_seconds=seconds)
