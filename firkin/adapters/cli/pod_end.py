"""What firkin itself says on standard error while a pod runs and ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from firkin.domain.reports import StopReport


def tell(sentence: str) -> None:
    """Say something on standard error."""
    click.echo(f"firkin: {sentence}", err=True)


def tell_end(report: StopReport, outcome: str, *, verbose: bool) -> None:
    """Say what went wrong while a pod was removed and, when `verbose`, how it ended."""
    for problem in (*report.problems, *(each for one in report.containers for each in one.problems)):
        tell(f"warning: {problem}")
    if verbose:
        tell(f"{outcome}; the pod was removed in {report.seconds * 1000:.0f} ms")
