"""What the command line is given by the composition root."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from .machine_options import AS_CONFIGURED, MachineOptions

if TYPE_CHECKING:
    from firkin.application.images import Images
    from firkin.application.runtime import Runtime
    from firkin.domain.image import ImageBundle, Platform
    from firkin.domain.pod_spec import PodSpec
    from firkin.domain.store_spec import PodStoreSpec
    from firkin.domain.vm_config import VmConfig
    from firkin.ports.agent_templates import ProgressCallback
    from firkin.ports.guest_image import GuestImages
    from firkin.ports.image_library import ImageLibrary
    from firkin.ports.leftovers import Leftovers
    from firkin.ports.log_keeper import LogKeeper
    from firkin.ports.pod_control import ControlConnector
    from firkin.ports.pod_registry import PodRegistry
    from firkin.ports.reclaimable_space import ReclaimableSpace


class OpenRuntime(Protocol):
    """Opens a runtime of the machine's configuration, with whatever is given in place of what is configured.

    `allow_host_paths` are allowed beside those of the configuration. `progress` is told each step when a guest image
    has to be built.
    """

    def __call__(
        self,
        *,
        store: str | None = None,
        platform: Platform | None = None,
        allow_host_paths: Sequence[Path] = (),
        machine: MachineOptions = AS_CONFIGURED,
        progress: Callable[[str], None] | None = None,
    ) -> AbstractAsyncContextManager[Runtime]: ...


class Resolve(Protocol):
    """Finds an image; `Runtime.images.resolve` is one."""

    async def __call__(self, reference: str) -> ImageBundle: ...


class ReadPod(Protocol):
    """Makes the spec of a pod from its manifest's text; its containers' output is piped."""

    async def __call__(
        self,
        text: str,
        source: str,
        resolve: Resolve,
        pod_store: PodStoreSpec,
        allow_host_paths: Sequence[Path],
        vm_config: VmConfig,
    ) -> PodSpec: ...


class FieldVerdict(NamedTuple):
    """What becomes of one field of a manifest: `honoured`, `without effect` or `refused`, and why."""

    line: int
    where: str
    verdict: str
    detail: str


class LayerFile(NamedTuple):
    """A layer to apply, and what is known of it: each of the last three is checked when given."""

    path: Path
    media_type: str | None = None
    digest: str | None = None
    diff_id: str | None = None


class LayerReport(NamedTuple):
    """What applying one layer did.

    Attributes:
        entries: how many it had.
        archive_bytes: of the archive inside, uncompressed.
        diff_id: of that archive.
        stage_seconds: where the time went, by stage; the stages run beside each other.
    """

    entries: int
    archive_bytes: int
    diff_id: str
    stage_seconds: Mapping[str, float] = {}


class ApplyLayer(Protocol):
    """Applies one layer to a directory, and tells how many bytes of its file are done.

    `limits` holds those of `LAYER_LIMITS` that are not to be as they are.
    """

    def __call__(
        self, rootfs: Path, layer: LayerFile, limits: Mapping[str, int], progress: Callable[[int], None]
    ) -> LayerReport: ...


class Places(NamedTuple):
    """Where pods keep what outlives them and what does not, and where programs are looked up."""

    state_dir: Path
    runtime_dir: Path
    search_path: str


class SupervisedStart(NamedTuple):
    """A pod that is to outlive the command.

    Attributes:
        make: makes its spec, with the images of the runtime that it will run in.
        source: what it is made from, to be told.
        is_removed_at_end: whether nothing is kept once it has ended.
        store: another kind of store than the configured one.
        platform: another platform than the machine's.
        allow_host_paths: what volumes of the host may show, beside what is configured.
        machine: another kind of sandbox than the configured one, and how large it is.
    """

    make: Callable[[Images], Awaitable[PodSpec]]
    source: str
    is_removed_at_end: bool = False
    store: str | None = None
    platform: Platform | None = None
    allow_host_paths: Sequence[Path] = ()
    machine: MachineOptions = AS_CONFIGURED


class StartSupervised(Protocol):
    """Hands a pod to a supervisor of its own, and tells its name once it runs: no signal ends the command before."""

    def __call__(
        self, start: SupervisedStart, on_progress: ProgressCallback, on_running: Callable[[str], None]
    ) -> None: ...


class LongLivedPods(NamedTuple):
    """The pods that have supervisors, and what killed processes left."""

    start: StartSupervised
    registry: Callable[[], PodRegistry]
    logs: Callable[[], LogKeeper]
    connector: Callable[[], ControlConnector]
    leftovers: Callable[[], Sequence[Leftovers]]


class CliServices(NamedTuple):
    """The parts of firkin that the commands call; each loads what it needs when it is called.

    Those that take a path take that of a directory store, None for the machine's shared one. `kvm_finding` is what came
    of the last machine that was tried with KVM: "" when it ran, else why not, None when none was tried.
    """

    open_runtime: OpenRuntime
    read_pod: ReadPod
    check_pod: Callable[[str, str, Sequence[Path]], Sequence[FieldVerdict]]
    apply_layer: ApplyLayer
    run_vminitd: Callable[[Sequence[str]], int]
    places: Callable[[], Places]
    traceback_wanted: Callable[[], bool]
    version: Callable[[], str]
    image_library: Callable[[], ImageLibrary]
    templates: Callable[[Path | None], ReclaimableSpace]
    reclaimable: Callable[[Path | None], Sequence[ReclaimableSpace]]
    guest_images: Callable[[], GuestImages]
    kept_guest_images: Callable[[], ReclaimableSpace]
    kvm_obstacle: Callable[[], str]
    kvm_finding: Callable[[], str | None]
    vhost_obstacle: Callable[[], str]
    long_lived: LongLivedPods
