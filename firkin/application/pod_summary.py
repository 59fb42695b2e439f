"""What a supervisor tells of the containers of its pod."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from firkin.domain.container_spec import PodContainerSpec
from firkin.domain.ids import ContainerId
from firkin.domain.lifecycle import ContainerPhase
from firkin.domain.pod_spec import PodSpec
from firkin.domain.process import ExitStatus, Stdio
from firkin.domain.reports import StopReport
from firkin.domain.supervised_pod import ContainerSummary

from .container import Container
from .container_plan import bundle_of
from .pod import Pod


def planned_containers(spec: PodSpec) -> tuple[ContainerSummary, ...]:
    """The containers of a pod that is about to start."""
    planned = [_planned(one, is_init=not one.is_sidecar) for one in spec.init_containers]
    return (*planned, *(_planned(one, is_init=False) for one in spec.containers))


def _planned(spec: PodContainerSpec, *, is_init: bool) -> ContainerSummary:
    bundle = bundle_of(spec.rootfs)
    return ContainerSummary(
        spec.id,
        image="" if bundle is None else bundle.reference,
        command=tuple(spec.process.args),
        is_init=is_init,
        is_sidecar=spec.is_sidecar,
        has_stdin=spec.stdio.stdin is Stdio.PIPED,
        has_terminal=spec.process.terminal,
    )


def summarised(pod: Pod) -> tuple[ContainerSummary, ...]:
    """The containers of a pod as they are now."""
    ran = (_ran(spec, pod) for spec in pod.spec.init_containers if not spec.is_sidecar)
    return (*ran, *(_now(container) for container in pod.containers()))


def _ran(spec: PodContainerSpec, pod: Pod) -> ContainerSummary:
    output = pod.init_outputs.get(spec.id)
    status = None if output is None else output.status
    return replace(_planned(spec, is_init=True), phase=ContainerPhase.EXITED, status=status)


def _now(container: Container) -> ContainerSummary:
    return replace(
        _planned(container.spec, is_init=False),
        phase=container.state,
        ready=container.ready,
        restarts=container.restart_count,
        status=container.last_status,
    )


def forwarded_ports(pod: Pod) -> tuple[str, ...]:
    """Which ports of the host lead to which of the pod's, in words."""
    return tuple(_arrow(port.host_address, port.host_port, port.container_port) for port in pod.forwarded_ports())


def _arrow(address: str, host_port: int, container_port: int) -> str:
    return f"{f'[{address}]' if ':' in address else address}:{host_port}->{container_port}"


def with_end(containers: Iterable[ContainerSummary], report: StopReport) -> tuple[ContainerSummary, ...]:
    """The containers of a pod that was stopped; how one ended before that stays."""
    ends = {ContainerId(one.container_id): one.status for one in report.containers}
    return tuple(_ended(one, ends) for one in containers)


def _ended(container: ContainerSummary, ends: dict[ContainerId, ExitStatus | None]) -> ContainerSummary:
    return replace(
        container, phase=ContainerPhase.EXITED, ready=False, status=ends.get(container.id) or container.status
    )
