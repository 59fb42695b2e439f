"""Settings of a runtime: the only reader of environment variables and configuration files."""

from __future__ import annotations

import contextlib
import os
import pwd
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
from msgspec.structs import force_setattr, replace

from firkin.domain.errors import ConfigurationError, InvalidSize
from firkin.domain.image import Platform
from firkin.domain.layer_limits import changed_limits
from firkin.domain.size import Size
from firkin.domain.vm_config import MINIMUM_MEMORY
from firkin.ports.agent_connector import AgentConnector
from firkin.ports.image_source import ImageSource
from firkin.ports.log_keeper import LogKeeper
from firkin.ports.store import PodStore
from firkin.ports.vmm import Vmm

VMM_NAMES = ("namespace", "qemu", "memory")
STORE_NAMES = ("ext4", "directory", "memory")
IMAGE_SOURCE_NAMES = ("oci", "docker-archive", "image", "memory")
ACCELERATIONS = ("auto", "kvm", "tcg")
VSOCK_DEVICES = ("auto", "vhost", "vhost_user")
AGENT_NAMES = ("grpc", "memory")
LOG_NAMES = ("memory",)

SYSTEM_CONFIG_FILE = Path("/etc/firkin.toml")
_MOST_SETTINGS_BYTES = Size.mib(1)

ADMINISTRATION_PATH = "/usr/sbin:/sbin"

AnyImageSource = str | ImageSource


class RuntimeConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Which adapters a runtime is made of, and where it keeps its files.

    Each port is a name or any object that keeps the port's Protocol. Paths, sizes and the platform may be strings.

    Attributes:
        vmm: who makes sandboxes: `namespace` (Linux namespaces), `qemu` (a virtual machine), `memory` (a fake for
            tests).
        store: who makes pod stores: `ext4`, `directory`, `memory`. None: `ext4`, and `directory` for namespace
            sandboxes of everybody but root, who cannot mount the image of an ext4 store there.
        images: one image source or several, of `oci`, `docker-archive`, `image` (the user's image directory), `memory`;
            each serves the references of its scheme.
        agents: who dials guest agents: `grpc`, `memory`.
        logs: who keeps the output that containers log: `memory` keeps it as long as the pod's process lives; an object
            that keeps the Protocol LogKeeper gets it, too.
        state_dir: what outlives a pod (stores and templates). None: FIRKIN_STATE_DIR, else /var/lib/firkin for
            root and $XDG_STATE_HOME/firkin for everybody else.
        runtime_dir: what does not outlive a pod (sockets). None: FIRKIN_RUNTIME_DIR, else /run/firkin for root
            and $XDG_RUNTIME_DIR/firkin, or `run` in the state directory, for everybody else.
        oci_runtime: what containers in namespace sandboxes are run by, a name or a path; machines have crun.
        search_path: where programs are looked up, and the sandbox's PATH. None: PATH, and the directories of
            programs for administrators, which an ordinary user's PATH may lack.
        start_concurrency: how many containers of a pod are started at the same time, at least 1.
        allow_host_paths: directories and files of the host that pods may mount (hostPath), with everything below;
            none unless given.
        layer_limits: what each layer of an image may amount to, by the names of `LayerLimits`; those that are not given
            are generous. Agents of `grpc` keep them, or refuse the pod.
        platform: which images are chosen when an index offers several; None is this machine's.
        acceleration: of virtual machines: `kvm`, `tcg` (QEMU alone, some thirty times slower), or `auto`: KVM once it
            has been seen to run a machine here, else TCG.
        vsock: device that carries the streams of virtual machines: `vhost` (the host kernel's), `vhost_user` (firkin's
            own), or `auto`: the kernel's where /dev/vhost-vsock opens and QEMU can use it, else firkin's own.
        cpus: processors of virtual machines whose pods do not say; None: two with KVM, one without.
        memory: bytes of memory of virtual machines whose pods do not say, at least 128 MiB; None is 1 GiB.
        kernel: kernel file of virtual machines whose pods do not say; None is Debian's for cloud machines.
        guest_build_progress: told each step when a guest image has to be built, from another thread.

    Raises:
        ConfigurationError: a name that is none of the choices, or an object that lacks part of its Protocol.
    """

    vmm: str | Vmm = "namespace"
    store: str | PodStore | None = None
    images: AnyImageSource | tuple[AnyImageSource, ...] = ("oci", "docker-archive", "image")
    agents: str | AgentConnector = "grpc"
    logs: str | LogKeeper = "memory"
    state_dir: Path | None = None
    runtime_dir: Path | None = None
    oci_runtime: str = "crun"
    search_path: str | None = None
    start_concurrency: int = 8
    layer_limits: Mapping[str, int] = {}
    platform: Platform | None = None
    allow_host_paths: tuple[Path, ...] = ()
    acceleration: str = "auto"
    vsock: str = "auto"
    cpus: int | None = None
    memory: Size | None = None
    kernel: Path | None = None
    guest_build_progress: Callable[[str], None] | None = None

    def __post_init__(self) -> None:
        self._take_words()
        _check_choice("vmm", self.vmm, VMM_NAMES, Vmm)
        if self.store is not None:
            _check_choice("store", self.store, STORE_NAMES, PodStore)
        _check_choice("agents", self.agents, AGENT_NAMES, AgentConnector)
        _check_choice("logs", self.logs, LOG_NAMES, LogKeeper)
        if not self.image_sources:
            raise ConfigurationError(f"images must name at least one source: {', '.join(IMAGE_SOURCE_NAMES)}")
        for source in self.image_sources:
            _check_choice("images", source, IMAGE_SOURCE_NAMES, ImageSource)
        for name, value, choices in (
            ("acceleration", self.acceleration, ACCELERATIONS),
            ("vsock", self.vsock, VSOCK_DEVICES),
        ):
            if value not in choices:
                raise ConfigurationError(f"{name} is {value!r}; it must be one of {', '.join(choices)}")
        _check_machine(self.cpus, self.memory)
        if self.start_concurrency < 1:
            raise ConfigurationError(f"start_concurrency is {self.start_concurrency}; it must be at least 1")
        try:
            changed_limits(self.layer_limits)
        except ValueError as error:
            raise ConfigurationError(f"layer_limits: {error}") from error
        for path in self.allow_host_paths:
            if not path.is_absolute() or ".." in path.parts:
                raise ConfigurationError(f"allow_host_paths has {str(path)!r}; give absolute paths without '..'")

    def _take_words(self) -> None:
        """Let paths, sizes and platforms be given as the words that a configuration file has for them."""
        for name in ("state_dir", "runtime_dir", "kernel"):
            if (path := getattr(self, name)) is not None:
                force_setattr(self, name, Path(path))
        force_setattr(self, "allow_host_paths", tuple(map(Path, self.allow_host_paths)))
        if self.memory is not None:
            force_setattr(self, "memory", _memory(self.memory))
        if isinstance(self.platform, str):
            force_setattr(self, "platform", Platform.parse(self.platform))

    @property
    def image_sources(self) -> tuple[AnyImageSource, ...]:
        """`images`, always as a tuple."""
        return tuple(self.images) if isinstance(self.images, tuple | list) else (self.images,)

    def placed(self, environment: Mapping[str, str] | None = None) -> RuntimeConfig:
        """Return this configuration with store, directories and search path filled in."""
        variables = os.environ if environment is None else environment
        return replace(
            self,
            store=self.store or _default_store(self.vmm),
            state_dir=(self.state_dir or _default_state_dir(variables)).absolute(),
            runtime_dir=(self.runtime_dir or _default_runtime_dir(variables)).absolute(),
            search_path=self.search_path or f"{variables.get('PATH') or os.defpath}:{ADMINISTRATION_PATH}",
        )


class _FileSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    vmm: str | None = None
    store: str | None = None
    images: str | tuple[str, ...] | None = None
    agents: str | None = None
    logs: str | None = None
    state_dir: str | None = None
    runtime_dir: str | None = None
    oci_runtime: str | None = None
    search_path: str | None = None
    start_concurrency: int | None = None
    layer_limits: dict[str, int] | None = None
    platform: str | None = None
    allow_host_paths: tuple[str, ...] | None = None
    acceleration: str | None = None
    vsock: str | None = None
    cpus: int | None = None
    memory: int | str | None = None
    kernel: str | None = None


def load_config(environment: Mapping[str, str] | None = None, defaults: RuntimeConfig | None = None) -> RuntimeConfig:
    """Read the configuration file, if there is one, and then the environment, which overrides it.

    The file is $FIRKIN_CONFIG, or else the first that exists of $XDG_CONFIG_HOME/firkin/firkin.toml and
    /etc/firkin.toml; its keys are the fields of RuntimeConfig. Variables: FIRKIN_VMM, FIRKIN_STORE,
    FIRKIN_STATE_DIR, FIRKIN_RUNTIME_DIR, FIRKIN_ACCELERATION, FIRKIN_VSOCK, FIRKIN_KERNEL. What neither sets is as
    in `defaults`.

    Raises:
        ConfigurationError: the file cannot be read, has an unknown key, or something in it cannot be used.
    """
    variables = os.environ if environment is None else environment
    path = _config_file(variables)
    settings = _read_settings(path) if path is not None else _FileSettings()
    choices: dict[str, object] = {
        name: value for name in settings.__struct_fields__ if (value := getattr(settings, name)) is not None
    }
    for name in ("vmm", "store", "state_dir", "runtime_dir", "acceleration", "vsock", "kernel"):
        if value := variables.get(f"FIRKIN_{name.upper()}"):
            choices[name] = value
    return replace(defaults or RuntimeConfig(), **choices).placed(variables)


def traceback_wanted(environment: Mapping[str, str] | None = None) -> bool:
    """True when FIRKIN_DEBUG=1 asks for tracebacks of unexpected errors."""
    variables = os.environ if environment is None else environment
    return variables.get("FIRKIN_DEBUG") == "1"


def _check_choice(setting: str, value: object, names: tuple[str, ...], protocol: type) -> None:
    if isinstance(value, str):
        if value not in names:
            raise ConfigurationError(f"{setting} is {value!r}; it must be one of {', '.join(names)}")
    elif isinstance(value, type) or not isinstance(value, protocol):
        raise ConfigurationError(
            f"{setting} must be one of {', '.join(names)}, or an object that keeps the Protocol "
            f"{protocol.__name__}, which {value!r} does not"
        )


def _check_machine(cpus: int | None, memory: Size | None) -> None:
    if cpus is not None and cpus < 1:
        raise ConfigurationError(f"cpus is {cpus}; it must be at least 1")
    if memory is not None and memory < MINIMUM_MEMORY:
        raise ConfigurationError(f"memory is {Size(memory)}; it must be at least {MINIMUM_MEMORY}")


def _memory(setting: int | str) -> Size:
    try:
        return Size.parse(setting) if isinstance(setting, str) else Size(setting)
    except InvalidSize as error:
        raise ConfigurationError(f"memory: {error}") from error


def _config_file(variables: Mapping[str, str]) -> Path | None:
    named = variables.get("FIRKIN_CONFIG")
    if named:
        return Path(named)
    found = [SYSTEM_CONFIG_FILE]
    with contextlib.suppress(ConfigurationError):  # who has no home has no file in it
        found.insert(0, _xdg(variables, "XDG_CONFIG_HOME", ".config") / "firkin" / "firkin.toml")
    return next((path for path in found if path.is_file()), None)


def _read_settings(path: Path) -> _FileSettings:
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_SETTINGS_BYTES + 1)
        if len(data) > _MOST_SETTINGS_BYTES:
            raise ConfigurationError(f"configuration file {path} is longer than {_MOST_SETTINGS_BYTES}")
        document = tomllib.loads(data.decode("utf-8"))
    except OSError as error:
        raise ConfigurationError(f"configuration file {path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"configuration file {path} is not TOML: {error}") from error
    except RecursionError:
        raise ConfigurationError(f"configuration file {path} is nested too deep") from None
    unknown = sorted(document.keys() - set(_FileSettings.__struct_fields__))
    if unknown:
        known = ", ".join(_FileSettings.__struct_fields__)
        raise ConfigurationError(f"configuration file {path} has unknown keys: {', '.join(unknown)}; known are {known}")
    try:
        return msgspec.convert(document, _FileSettings)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"configuration file {path}: {error}") from error


def _default_store(vmm: str | Vmm) -> str:
    return "directory" if vmm == "namespace" and os.geteuid() != 0 else "ext4"


def _default_state_dir(variables: Mapping[str, str]) -> Path:
    if named := variables.get("FIRKIN_STATE_DIR"):
        return Path(named)
    return (
        Path("/var/lib/firkin") if os.geteuid() == 0 else _xdg(variables, "XDG_STATE_HOME", ".local/state") / "firkin"
    )


def _default_runtime_dir(variables: Mapping[str, str]) -> Path:
    if named := variables.get("FIRKIN_RUNTIME_DIR"):
        return Path(named)
    if os.geteuid() == 0:
        return Path("/run/firkin")
    base = variables.get("XDG_RUNTIME_DIR", "")
    # Below the state directory rather than in /tmp, where somebody else could be first to make it.
    return Path(base) / "firkin" if base.startswith("/") else _default_state_dir(variables) / "run"


def _xdg(variables: Mapping[str, str], name: str, below_home: str) -> Path:
    # The XDG base directory specification has relative paths ignored.
    value = variables.get(name, "")
    if value.startswith("/"):
        return Path(value)
    return _home(variables) / below_home


def _home(variables: Mapping[str, str]) -> Path:
    if home := variables.get("HOME"):
        return Path(home)
    try:
        return Path(pwd.getpwuid(os.geteuid()).pw_dir)
    except KeyError:
        raise ConfigurationError(f"HOME is not set, and user {os.geteuid()} has no home directory: set HOME") from None
