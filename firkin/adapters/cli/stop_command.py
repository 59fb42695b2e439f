"""`firkin stop`: ends pods in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .each_pod import for_each_pod, pod_ending
from .pod_argument import pods_argument
from .pod_end import tell
from .services import CliServices

if TYPE_CHECKING:
    from firkin.domain.ids import PodId

_HELP = """Ask all containers of pods to stop, and kill each after its grace period; then end the pods.

\b
  firkin stop web
  firkin stop -t 1 web db            a second for each container, whatever it was given at its start

What a pod wrote stays readable until `firkin rm`. Stopping a pod that has ended is fine."""


@click.command("stop", help=_HELP)
@click.option(
    "-t",
    "--time",
    "grace_seconds",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="How long to wait before killing; each container's own grace unless given.",
)
@pods_argument
@click.pass_obj
def command(services: CliServices, grace_seconds: float | None, pods: tuple[str, ...]) -> int:
    ending = pod_ending(services)

    async def stopped(pod_id: PodId) -> None:
        record = await ending.stopped(pod_id, grace_seconds)
        if record.problem:
            tell(f"warning: pod {pod_id}: {record.problem}")

    return for_each_pod(pods, stopped)
