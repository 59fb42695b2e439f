"""What the command line calls. Nothing is loaded before it is needed."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from firkin.adapters.cli import CliServices
from firkin.adapters.cli.machine_options import AS_CONFIGURED, MachineOptions
from firkin.adapters.cli.services import (
    FieldVerdict,
    LayerFile,
    LayerReport,
    LongLivedPods,
    Places,
    Resolve,
    SupervisedStart,
)
from firkin.adapters.cli.store_choice import CLI_STORE, store_for

if TYPE_CHECKING:
    from firkin.application.runtime import Runtime
    from firkin.config import RuntimeConfig
    from firkin.domain.image import Platform
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


def _open_runtime(
    *,
    store: str | None = None,
    platform: Platform | None = None,
    allow_host_paths: Sequence[Path] = (),
    machine: MachineOptions = AS_CONFIGURED,
    progress: Callable[[str], None] | None = None,
) -> AbstractAsyncContextManager[Runtime]:
    from firkin.bootstrap import open_runtime

    return open_runtime(_cli_config(store, platform, allow_host_paths, machine, progress))


def _cli_config(
    store: str | None,
    platform: Platform | None,
    allow_host_paths: Sequence[Path],
    machine: MachineOptions,
    progress: Callable[[str], None] | None = None,
) -> RuntimeConfig:
    from msgspec.structs import replace

    from firkin.config import RuntimeConfig, load_config

    config = load_config(defaults=RuntimeConfig(store=CLI_STORE))
    vmm = machine.vmm or config.vmm
    return replace(
        config,
        vmm=vmm,
        acceleration=machine.acceleration or config.acceleration,
        vsock=machine.vsock or config.vsock,
        guest_build_progress=progress,
        store=store or store_for(vmm, config.store),
        platform=platform or config.platform,
        allow_host_paths=(*config.allow_host_paths, *allow_host_paths),
    )


def _allowed(further: Sequence[Path]) -> list[str]:
    from firkin.config import load_config

    return [str(path) for path in (*load_config().allow_host_paths, *further)]


def _image_schemes() -> list[str]:
    from firkin.config import load_config

    return [source for source in load_config().image_sources if isinstance(source, str)]


async def _read_pod(
    text: str,
    source: str,
    resolve: Resolve,
    pod_store: PodStoreSpec,
    allow_host_paths: Sequence[Path],
    vm_config: VmConfig,
) -> PodSpec:
    from firkin.adapters.pod_manifest import load_manifest, pod_spec
    from firkin.domain.process import Stdio, StdioOptions

    manifest = load_manifest(text, source, _allowed(allow_host_paths), _image_schemes())
    stdio = StdioOptions(Stdio.NULL, Stdio.PIPED, Stdio.PIPED)
    return await pod_spec(manifest, resolve, vm_config=vm_config, pod_store=pod_store, stdio=stdio)


def _check_pod(text: str, source: str, allow_host_paths: Sequence[Path]) -> Sequence[FieldVerdict]:
    from firkin.adapters.pod_manifest import check_manifest

    reports = check_manifest(text, source, _allowed(allow_host_paths), _image_schemes())
    return [FieldVerdict(*report) for report in reports]


def _apply_layer(
    rootfs: Path, layer: LayerFile, limits: Mapping[str, int], progress: Callable[[int], None]
) -> LayerReport:
    import msgspec

    from firkin.domain.layer_limits import changed_limits
    from firkin.vminitd.layers.applier import apply_layer

    done_bytes = 0

    def advance(count: int) -> None:
        nonlocal done_bytes
        done_bytes += count
        progress(done_bytes)

    with layer.path.open("rb", buffering=0) as stream:
        result = apply_layer(
            os.fspath(rootfs),
            stream,
            layer_name=str(layer.path),
            media_type=layer.media_type or "",
            digest=layer.digest,
            diff_id=layer.diff_id,
            limits=changed_limits(limits),
            on_bytes=advance,
        )
    return LayerReport(result.entries, result.tar_bytes, result.diff_id, msgspec.structs.asdict(result.seconds))


def _run_vminitd(arguments: Sequence[str]) -> int:
    from firkin.vminitd.__main__ import main as run_agent

    return run_agent(arguments)


def _places() -> Places:
    from firkin.config import load_config

    config = load_config()
    assert config.state_dir is not None
    assert config.runtime_dir is not None
    assert config.search_path is not None
    return Places(config.state_dir, config.runtime_dir, config.search_path)


def _image_library() -> ImageLibrary:
    from firkin.bootstrap.kept_space import image_library
    from firkin.config import load_config

    return image_library(load_config())


def _templates(store: Path | None) -> ReclaimableSpace:
    from firkin.bootstrap.kept_space import shared_templates
    from firkin.config import load_config

    return shared_templates(load_config(), store)


def _reclaimable(store: Path | None) -> Sequence[ReclaimableSpace]:
    from firkin.bootstrap.kept_space import reclaimable_spaces
    from firkin.config import load_config

    return reclaimable_spaces(load_config(), store)


def _guest_images() -> GuestImages:
    from firkin.bootstrap.kept_space import guest_images
    from firkin.config import load_config

    return guest_images(load_config())


def _kept_guest_images() -> ReclaimableSpace:
    from firkin.bootstrap.kept_space import kept_guest_images
    from firkin.config import load_config

    return kept_guest_images(load_config())


def _kvm_obstacle() -> str:
    from firkin.adapters.vmm_qemu.acceleration import kvm_obstacle

    return kvm_obstacle()


def _kvm_finding() -> str | None:
    import shutil

    from firkin.adapters.vmm_qemu import PROGRAM
    from firkin.adapters.vmm_qemu.acceleration import remembered_finding
    from firkin.bootstrap.kept_space import guest_image_directories
    from firkin.config import load_config

    config = load_config()
    qemu = shutil.which(PROGRAM, path=config.search_path)
    return None if qemu is None else remembered_finding(qemu, guest_image_directories(config))


def _vhost_obstacle() -> str:
    from firkin.adapters.vmm_qemu.vhost_device import vhost_obstacle

    return vhost_obstacle()


def _start_supervised(start: SupervisedStart, on_progress: ProgressCallback, on_running: Callable[[str], None]) -> None:
    from firkin.adapters.supervisor_process import Starter, start_detached

    def work(starter: Starter) -> None:
        from firkin.adapters.supervisor_process import SupervisorTask, supervise
        from firkin.bootstrap.long_lived_pods import supervisor_parts

        task = SupervisorTask(start.make, start.source, start.is_removed_at_end)
        supervise(starter, supervisor_parts(config), task)

    # What cannot be used is told before a process begins.
    config = _cli_config(start.store, start.platform, start.allow_host_paths, start.machine)
    start_detached(work, on_progress, on_running)


def _pod_registry() -> PodRegistry:
    from firkin.bootstrap.long_lived_pods import pod_registry
    from firkin.config import load_config

    return pod_registry(load_config())


def _log_keeper() -> LogKeeper:
    from firkin.bootstrap.long_lived_pods import log_keeper
    from firkin.config import load_config

    return log_keeper(load_config())


def _control_connector() -> ControlConnector:
    from firkin.bootstrap.long_lived_pods import control_connector
    from firkin.config import load_config

    return control_connector(load_config())


def _leftovers() -> Sequence[Leftovers]:
    from firkin.bootstrap.kept_space import leftovers
    from firkin.config import load_config

    return leftovers(load_config())


def _traceback_wanted() -> bool:
    from firkin.config import traceback_wanted

    return traceback_wanted()


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("firkin")
    except PackageNotFoundError:
        return "(run from a source tree that is not installed)"


def command_services() -> CliServices:
    """What the command line calls."""
    return CliServices(
        open_runtime=_open_runtime,
        read_pod=_read_pod,
        check_pod=_check_pod,
        apply_layer=_apply_layer,
        run_vminitd=_run_vminitd,
        places=_places,
        traceback_wanted=_traceback_wanted,
        version=_version,
        image_library=_image_library,
        templates=_templates,
        reclaimable=_reclaimable,
        guest_images=_guest_images,
        kept_guest_images=_kept_guest_images,
        kvm_obstacle=_kvm_obstacle,
        kvm_finding=_kvm_finding,
        vhost_obstacle=_vhost_obstacle,
        long_lived=LongLivedPods(_start_supervised, _pod_registry, _log_keeper, _control_connector, _leftovers),
    )
