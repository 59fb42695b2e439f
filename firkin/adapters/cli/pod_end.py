"""What firkin itself says on standard error while a pod runs and ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from firkin.application.pod import Pod
    from firkin.domain.process import ExitStatus
    from firkin.domain.reports import StopReport


def tell(sentence: str) -> None:
    """Say something on standard error."""
    click.echo(f"firkin: {sentence}", err=True)


def tell_boot(pod: Pod, *, verbose: bool) -> None:
    """Say, when `verbose`, by what a machine runs: without KVM, everything in it takes its time."""
    boot = pod.boot_timing
    if verbose and boot is not None and boot.run_by:
        tell(f"pod {pod.id}: a machine booted in {boot.seconds:.1f} s, run by {boot.run_by}")


def tell_shortage(container: str, status: ExitStatus) -> None:
    """Say that a container ended for want of memory: its exit code is that of any other kill."""
    if status.reason == "oom-killed":
        tell(f"{container} was killed for want of memory: it may have no more")


def tell_end(report: StopReport, outcome: str, *, verbose: bool) -> None:
    """Say what went wrong while a pod was removed and, when `verbose`, how it ended."""
    for problem in (*report.problems, *(each for one in report.containers for each in one.problems)):
        tell(f"warning: {problem}")
    if verbose:
        tell(f"{outcome}; the pod was removed in {report.seconds * 1000:.0f} ms")
