"""`firkin stats`: what the containers of pods use."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, NamedTuple

import click

from .pod_argument import POD_NAME
from .services import CliServices
from .table import print_table
from .usage_table import HEADER, cpu_percent, usage_row

if TYPE_CHECKING:
    from firkin.domain.ids import PodId
    from firkin.domain.statistics import ContainerStatistics
    from firkin.domain.supervised_pod import PodRecord
    from firkin.ports.pod_control import ControlConnector

_HELP = """Show what the containers of pods use, of all pods that run unless some are named, until Ctrl-C.

\b
  firkin stats
  firkin stats --no-stream web
  firkin stats --json web | jq '.[].memory.usage_bytes'      a line of JSON at each interval

CPU % is that of one processor: a container that keeps two busy has 200 %. MEMORY leaves out files that the kernel can
drop at once. NETWORK is the pod's, whose containers share it. What the machine does not tell is `-`, in JSON null."""


class Usage(NamedTuple):
    """What a container uses, and what it used before: processor time is told by the difference."""

    pod: str
    before: ContainerStatistics | None
    now: ContainerStatistics


@click.command("stats", help=_HELP)
@click.option("--no-stream", is_flag=True, help="Only once.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: a list of containers a line.")
@click.option(
    "--interval",
    "interval_seconds",
    type=click.FloatRange(min=0.1),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="How often.",
)
@click.argument("pods", type=POD_NAME, nargs=-1, metavar="[POD]...")
@click.pass_obj
def command(
    services: CliServices, no_stream: bool, as_json: bool, interval_seconds: float, pods: tuple[str, ...]
) -> None:
    registry = services.long_lived.registry()
    named = [registry.record(pod) for pod in pods]
    chosen = named or [one for one in registry.records() if not one.phase.is_over]
    watch = _Watch(services.long_lived.connector(), chosen, interval_seconds, must_answer=bool(pods))
    asyncio.run(_print_json(watch, no_stream) if as_json else _print_table(watch, no_stream))


class _Watch:
    """Asks all pods at once; one that ends drops out."""

    def __init__(
        self, connector: ControlConnector, pods: list[PodRecord], interval_seconds: float, *, must_answer: bool
    ) -> None:
        self._connector = connector
        self._pods = [pod.id for pod in pods]
        # A pod that is still starting holds up only who asked for it.
        self._waited_for = {pod.id for pod in pods if must_answer or pod.phase == "running"}
        self._interval_seconds = interval_seconds
        self._must_answer = must_answer
        self._latest: dict[PodId, list[Usage]] = {}

    async def samples(self) -> AsyncGenerator[list[Usage], None]:
        """What all of them use, at every interval, the first time once there is something to compare with."""
        from firkin.application.task_scope import TaskScope

        scope = TaskScope()
        watching = {pod: scope.start(self._watch(pod), f"watch {pod}") for pod in self._pods}
        is_told = False
        try:
            while watching:
                await asyncio.wait(watching.values(), timeout=self._interval_seconds)
                if all(task.done() for task in watching.values()):
                    await asyncio.gather(*watching.values())
                    break
                if self._is_complete(watching):
                    yield [one for pod in self._pods for one in self._latest.get(pod, ())]
                    is_told = True
            if not is_told:
                yield []
        finally:
            await scope.aclose()

    def _is_complete(self, watching: Mapping[PodId, asyncio.Task[None]]) -> bool:
        """Whether all pods have told of all of their containers twice."""
        late = {pod for pod in self._waited_for - self._latest.keys() if not watching[pod].done()}
        return not late and all(one.before is not None for usages in self._latest.values() for one in usages)

    async def _watch(self, pod: PodId) -> None:
        from firkin.domain.errors import PodOver, SupervisorDied

        before: dict[str, ContainerStatistics] = {}
        try:
            async with self._connector.connected(pod) as control:
                async for containers in control.statistics(self._interval_seconds):
                    self._latest[pod] = [Usage(pod, before.get(one.container_id), one) for one in containers]
                    before = {one.container_id: one for one in containers}
        except (PodOver, SupervisorDied):
            if self._must_answer and not before:
                raise
        finally:
            self._latest.pop(pod, None)


async def _print_json(watch: _Watch, no_stream: bool) -> None:
    import msgspec

    async with aclosing(watch.samples()) as samples:
        async for usages in samples:
            values = [
                {"pod": str(one.pod), "cpu_percent": _percent(one), **msgspec.structs.asdict(one.now)} for one in usages
            ]
            click.echo(msgspec.json.encode(values, enc_hook=str))
            if no_stream:
                return


def _percent(usage: Usage) -> float | None:
    return cpu_percent(usage.before, usage.now)


async def _print_table(watch: _Watch, no_stream: bool) -> None:
    from rich.console import Console

    async with aclosing(watch.samples()) as samples:
        console = Console()
        if console.is_terminal and not console.is_dumb_terminal and not no_stream:
            await _show_live(samples)
            return
        async for usages in samples:
            print_table(HEADER, [usage_row(*one) for one in usages])
            if no_stream:
                return


async def _show_live(samples: AsyncIterator[list[Usage]]) -> None:
    from rich.live import Live
    from rich.table import Table
    from rich.text import Text

    with Live(Table(*HEADER, box=None), auto_refresh=False) as live:
        async for usages in samples:
            table = Table(*HEADER, box=None, header_style="bold")
            for one in usages:
                table.add_row(*map(Text, usage_row(*one)))
            live.update(table, refresh=True)
