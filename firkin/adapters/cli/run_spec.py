"""What `firkin run` was asked for, and the pod that it becomes."""

from __future__ import annotations

import secrets
import sys
from typing import TYPE_CHECKING, NamedTuple

from .machine_options import MachineOptions
from .store_choice import StoreChoice

if TYPE_CHECKING:
    from firkin.domain.container_spec import PodContainerSpec
    from firkin.domain.image import ImageBundle
    from firkin.domain.pod_spec import PodSpec
    from firkin.domain.port_forwards import PortForward

_CONTAINER_ID = "main"


class Detached(NamedTuple):
    """What only a pod with a supervisor has: the bound of its log, whether it is forgotten, restarted, has input."""

    log_max_bytes: int
    is_removed_at_end: bool
    restart_policy: str
    is_interactive: bool


class RunOptions(NamedTuple):
    """What was asked for on the command line."""

    image: str
    command: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    working_dir: str | None
    user: str | None
    name: str | None
    hostname: str | None
    store: StoreChoice
    writable_layer_bytes: int | None
    machine: MachineOptions
    platform: str | None
    grace_seconds: float
    verbose: bool
    tty: bool
    detach_keys: bytes
    port_forwards: tuple[PortForward, ...]
    network: str
    has_init: bool
    detached: Detached | None


def run_pod_spec(options: RunOptions, bundle: ImageBundle) -> PodSpec:
    """A pod of one container: on the streams of this process or, detached, with a log."""
    from msgspec.structs import replace

    from firkin.domain.pod_spec import PodBuilder

    vm_config = replace(options.machine.vm_config(), network=options.network)
    pod_id = options.name if options.name is not None else f"run-{secrets.token_hex(4)}"
    builder = PodBuilder(pod_id, vm_config, options.store.spec())
    builder = builder.container(_container_spec(options, bundle))
    for forward in options.port_forwards:
        builder = builder.forward_port(forward.container_port, forward.host_port, forward.host_address)
    if options.detached is not None:
        builder = builder.restart_policy(options.detached.restart_policy)
    return (builder.hostname(options.hostname) if options.hostname else builder).build()


def _container_spec(options: RunOptions, bundle: ImageBundle) -> PodContainerSpec:
    from firkin.domain.container_spec import PodContainerSpec
    from firkin.domain.ids import ContainerId
    from firkin.domain.rootfs_source import RootfsSource

    spec = PodContainerSpec(ContainerId(_CONTAINER_ID), RootfsSource.oci_bundle(bundle)).envs(options.environment)
    spec = _with_streams(spec, options) if options.detached is None else _with_log(spec, options.tty, options.detached)
    spec = spec.stop_grace(options.grace_seconds).init(options.has_init)
    if options.writable_layer_bytes is not None:
        spec = spec.writable_layer_limit(options.writable_layer_bytes)
    if options.command:
        spec = spec.command(*options.command)
    if options.working_dir is not None:
        spec = spec.working_dir(options.working_dir)
    return spec if options.user is None else spec.user(options.user)


def _with_streams(spec: PodContainerSpec, options: RunOptions) -> PodContainerSpec:
    from firkin.domain.process import Stdio

    # The interpreter has no sys.stdin when the descriptor was closed as it started.
    stdin = Stdio.NULL if sys.stdin is None else Stdio.INHERIT
    spec = spec.stdin(stdin).stdout(Stdio.INHERIT).stderr(Stdio.INHERIT)
    if options.tty:
        from .local_terminal import LocalTerminal

        spec = spec.tty(size=LocalTerminal().size).stdin(Stdio.PIPED).stderr(Stdio.NULL)
    return spec


def _with_log(spec: PodContainerSpec, tty: bool, detached: Detached) -> PodContainerSpec:
    from firkin.domain.process import Stdio

    spec = spec.stdin(Stdio.PIPED if detached.is_interactive else Stdio.NULL)
    return (spec.tty() if tty else spec).log(detached.log_max_bytes)
