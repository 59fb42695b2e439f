"""`firkin rm`: forgets pods."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .each_pod import for_each_pod, pod_ending
from .pod_argument import pods_argument
from .services import CliServices

if TYPE_CHECKING:
    from firkin.domain.ids import PodId

_HELP = """Forget pods that have ended, with what they wrote.

\b
  firkin rm web
  firkin rm -f web                                     kill it first when it runs; fine when there is none
  firkin rm $(firkin ps -aq --filter status=exited)

Of a pod whose supervisor was killed, everything that was left is removed as well, as by `firkin gc`. With -f a
supervisor that does not answer is killed first."""


@click.command("rm", help=_HELP)
@click.option("-f", "--force", is_flag=True, help="Kill a pod that runs; a pod that there is not is no error.")
@pods_argument
@click.pass_obj
def command(services: CliServices, force: bool, pods: tuple[str, ...]) -> int:
    from firkin.application.collecting import collected
    from firkin.domain.errors import PodNotFound, SupervisorUnreachable
    from firkin.domain.supervised_pod import SupervisedPhase

    from .hung_supervisor import killed_supervisor, supervisor_is_stopped

    ending, registry = pod_ending(services), services.long_lived.registry()

    async def removed(pod_id: PodId) -> None:
        try:
            if registry.record(pod_id).phase is SupervisedPhase.ABANDONED:
                await collected(services.long_lived.leftovers())
            try:
                if force and supervisor_is_stopped(registry, pod_id):
                    raise SupervisorUnreachable(pod_id, "it was stopped")
                await ending.removed(pod_id, force=force)
            except SupervisorUnreachable:
                if not force or not killed_supervisor(registry, pod_id):
                    raise
                await ending.released(pod_id)
                await collected(services.long_lived.leftovers())
                await ending.removed(pod_id)
        except PodNotFound:
            if not force:
                raise

    return for_each_pod(pods, removed)
