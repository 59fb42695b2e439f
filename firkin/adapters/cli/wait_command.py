"""`firkin wait`: waits for the end of pods."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .each_pod import for_each_pod, pod_ending
from .pod_argument import pods_argument
from .services import CliServices

if TYPE_CHECKING:
    from firkin.domain.ids import PodId

_HELP = """Wait until pods have ended, and print the exit code of each: 0, or that of the first container that failed.

\b
  test "$(firkin wait job)" = 0 && firkin logs job

Pods that have ended are told at once."""


@click.command("wait", help=_HELP)
@pods_argument
@click.pass_obj
def command(services: CliServices, pods: tuple[str, ...]) -> int:
    ending = pod_ending(services)

    async def code(pod_id: PodId) -> int:
        return (await ending.ended(pod_id)).exit_code

    return for_each_pod(pods, code)
