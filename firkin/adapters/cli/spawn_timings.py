"""Where the time of a pod's start went, as a table."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import click

from firkin.domain.errors import FirkinError

if TYPE_CHECKING:
    from firkin.application.pod import Pod
    from firkin.domain.process import ContainerStartupTiming

_STAGES = {
    "template": "template_seconds",
    "overlay": "prepare_seconds",
    "spec": "spec_build_seconds",
    "streams": "stdio_prepare_seconds",
    "start call": "start_rpc_seconds",
    "OCI runtime": "runtime_seconds",
}


def timing_lines(pod: Pod) -> Iterator[str]:
    """The stages of the pod, then the phases of a machine's boot, then the stages of each container.

    A machine boots during the stages boot and agent; the OCI runtime is a part of the start call.
    """
    yield _line("pod", "stage", "ms")
    yield from _lines(str(pod.id), pod.spawn_seconds)
    if pod.boot_timing is not None:
        yield from _lines(f"{pod.id} (boot)", pod.boot_timing.phases)
    for container in pod.containers():
        yield from _lines(str(container.id), _of(container.startup_timing))


def tell_timings(pod: Pod) -> None:
    """Print them on standard error."""
    for line in timing_lines(pod):
        click.echo(line, err=True)


@contextlib.contextmanager
def told_failure(pod_id: str, is_wanted: bool) -> Iterator[None]:
    """Print the stages of a pod that fails to start, of which the last one failed."""
    try:
        yield
    except FirkinError as error:
        if is_wanted:
            for line in _lines(pod_id, error.stage_seconds):
                click.echo(line, err=True)
        raise


def _of(timing: ContainerStartupTiming) -> Mapping[str, float]:
    return {stage: getattr(timing, field) for stage, field in _STAGES.items()}


def _lines(name: str, seconds: Mapping[str, float]) -> Iterator[str]:
    for stage, took in seconds.items():
        yield _line(name, stage, f"{took * 1000:.1f}")


def _line(name: str, stage: str, milliseconds: str) -> str:
    return f"{name:<20} {stage:<16} {milliseconds:>10}"
