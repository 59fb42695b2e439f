"""Where the time of a pod's start went, as a table."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import click

from firkin.domain.errors import FirkinError
from firkin.domain.stages import CALL_STAGES, TEMPLATE_STAGES

if TYPE_CHECKING:
    from firkin.application.pod import Pod

_PARTS = frozenset((*TEMPLATE_STAGES, *CALL_STAGES))


def timing_lines(pod: Pod) -> Iterator[str]:
    """The stages of the pod, then the phases of a machine's boot, then the stages of each container.

    What is indented is a part of the stage above it. A machine boots during the stages boot and agent.
    """
    yield _line("pod", "stage", "ms")
    yield from _lines(str(pod.id), pod.spawn_seconds)
    if pod.boot_timing is not None:
        yield from _lines(f"{pod.id} (boot)", pod.boot_timing.phases)
    for container in pod.containers():
        yield from _lines(str(container.id), container.startup_timing.stage_seconds)


def tell_timings(pod: Pod) -> None:
    """Print them on standard error."""
    for line in timing_lines(pod):
        click.echo(line, err=True)


@contextlib.contextmanager
def told_failure(pod_id: str, is_wanted: bool) -> Iterator[None]:
    """Print the stages of a pod that fails to start, and which of them failed."""
    try:
        yield
    except FirkinError as error:
        if is_wanted:
            for line in _lines(pod_id, error.stage_seconds):
                click.echo(line, err=True)
            if error.failed_stage:
                click.echo(f"{pod_id:<20} failed in stage {error.failed_stage}", err=True)
        raise


def _lines(name: str, seconds: Mapping[str, float]) -> Iterator[str]:
    for stage, took in seconds.items():
        yield _line(name, f"  {stage}" if stage in _PARTS else stage, f"{took * 1000:.1f}")


def _line(name: str, stage: str, milliseconds: str) -> str:
    return f"{name:<20} {stage:<16} {milliseconds:>10}"
