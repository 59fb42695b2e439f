"""`firkin logs`: what containers wrote."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from .log_output import LogOutput
from .moment_type import MomentType
from .pod_argument import container_option, pod_argument
from .services import CliServices

if TYPE_CHECKING:
    from firkin.domain.supervised_pod import ContainerSummary, PodRecord

    from .log_output import LogOptions

_HELP = """Print what the containers of a pod wrote, also after its end; with -c, one of them.

\b
  firkin logs web
  firkin logs -f --tail 10 web
  firkin logs --since 10m -c nginx web
  firkin logs --since 2026-01-31T12:00:00Z --timestamps web

What containers wrote to standard output and to standard error stays apart. Lines of several containers are in the
order in which they came, and each begins with its container's name. The newest output of each container is kept, up
to the bound that the pod was started with (`--log-max`). -f goes on until the containers have ended."""


@click.command("logs", help=_HELP)
@click.option("-f", "--follow", is_flag=True, help="Go on with what they write from now on.")
@click.option("--since", type=MomentType(), help="Only what was written then or later.")
@click.option("-n", "--tail", type=click.IntRange(min=0), metavar="LINES", help="Only each container's last lines.")
@click.option("-t", "--timestamps", is_flag=True, help="Begin each line with the moment at which it came (UTC).")
@container_option
@pod_argument
@click.pass_obj
def command(
    services: CliServices,
    follow: bool,
    since: float | None,
    tail: int | None,
    timestamps: bool,
    container: str | None,
    pod: str,
) -> None:
    from .log_output import LogOptions

    record = services.long_lived.registry().record(pod)
    chosen = record.containers if container is None else (record.container(container),)
    options = LogOptions(since, tail, timestamps, is_named=len(chosen) > 1)
    if follow and not record.phase.is_over:
        asyncio.run(_followed(services, record, chosen, options))
    else:
        asyncio.run(_kept(services, record, chosen, options))


async def _kept(
    services: CliServices, record: PodRecord, containers: tuple[ContainerSummary, ...], options: LogOptions
) -> None:
    logs = services.long_lived.logs()
    entries = {str(one.id): logs.entries(record.id, one.id, options.since, options.tail) for one in containers}
    async with LogOutput([one.id for one in containers], options) as output:
        await output.write_merged(entries)


async def _followed(
    services: CliServices, record: PodRecord, containers: tuple[ContainerSummary, ...], options: LogOptions
) -> None:
    from firkin.domain.errors import PodOver

    logs = services.long_lived.logs()
    past = [one for one in containers if one.is_init]
    ended = {str(one.id): logs.entries(record.id, one.id, options.since, options.tail) for one in past}
    try:
        async with (
            services.long_lived.connector().connected(record.id) as control,
            LogOutput([one.id for one in containers], options) as output,
        ):
            await output.write_merged(ended)
            async with asyncio.TaskGroup() as group:
                for one in containers:
                    if not one.is_init:
                        group.create_task(output.copy(one.id, control.logs(one.id, options.since, options.tail)))
    except* PodOver:
        # It ended before anything was shown of it.
        await _kept(services, record, containers, options)
