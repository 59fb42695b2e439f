"""`firkin kill`: sends signals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .each_pod import for_each_pod
from .pod_argument import container_option, pods_argument
from .services import CliServices

if TYPE_CHECKING:
    from firkin.domain.ids import PodId

_HELP = """Send a signal to the containers of pods, SIGKILL unless -s says otherwise; with -c, to one of them.

\b
  firkin kill web
  firkin kill -s HUP -c nginx web
  firkin kill -s RTMIN+3 web

A container that a restart policy keeps running is started again; `firkin stop` ends the pod."""


class _SignalType(click.ParamType[int]):
    """A signal by name, with or without SIG, or by number."""

    name = "SIGNAL"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        from firkin.domain.linux_signals import signal_number

        number = value if isinstance(value, int) else signal_number(str(value))
        if number is None:
            self.fail(f"{value!r} is no signal", param, ctx)
        return number


@click.command("kill", help=_HELP)
@click.option("-s", "--signal", "number", type=_SignalType(), default="KILL", show_default=True, help="Which signal.")
@container_option
@pods_argument
@click.pass_obj
def command(services: CliServices, number: int, container: str | None, pods: tuple[str, ...]) -> int:
    registry, connector = services.long_lived.registry(), services.long_lived.connector()

    async def killed(pod_id: PodId) -> None:
        record = registry.record(pod_id)
        lasting = [one for one in record.containers if not one.is_init]
        targets = lasting if container is None else [record.container(container)]
        async with connector.connected(pod_id) as control:
            await control.kill(tuple(one.id for one in targets), number)

    return for_each_pod(pods, killed)
