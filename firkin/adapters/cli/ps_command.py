"""`firkin ps`: the pods that have supervisors."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import click

from .record_text import age, record_values, status_text
from .services import CliServices

if TYPE_CHECKING:
    from firkin.domain.supervised_pod import PodRecord

_HELP = """List the pods that `firkin run -d` and `firkin pod run -d` started; those that run, or all with -a.

\b
  firkin ps
  firkin ps -a --filter status=exited
  firkin rm $(firkin ps -aq --filter status=exited)
  firkin ps -a --json | jq -r '.[] | select(.exit_code != 0) | .id'

\b
Filters: status=starting|running|stopping|exited|failed|abandoned, name=PART, image=PART, container=NAME;
  of several of one kind one must hold, of each kind.
STATUS abandoned: the pod's supervisor was killed, and the pod with it; `firkin gc` removes what it left.
Pods that run without -d belong to their terminal: they answer no other command, and are not listed."""

_FILTERS: Mapping[str, Callable[[PodRecord, str], bool]] = {
    "status": lambda record, value: record.phase == value,
    "name": lambda record, value: value in record.id,
    "image": lambda record, value: any(value in one.image for one in record.containers),
    "container": lambda record, value: any(one.id == value for one in record.containers),
}


class _FilterType(click.ParamType[tuple[str, str]]):
    name = "KEY=VALUE"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        key, equals, wanted = str(value).partition("=")
        if key not in _FILTERS or not equals:
            self.fail(f"{value!r} is none of {', '.join(f'{name}=...' for name in _FILTERS)}", param, ctx)
        if key == "status":
            from firkin.domain.supervised_pod import SupervisedPhase

            if wanted not in (phases := list(SupervisedPhase)):
                self.fail(f"{wanted!r} is no status; there are: {', '.join(phases)}", param, ctx)
        return key, wanted


@click.command("ps", help=_HELP)
@click.option("-a", "--all", "show_all", is_flag=True, help="Also those that have ended.")
@click.option("-q", "--quiet", is_flag=True, help="Names only.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: a list of objects, as `firkin inspect` has them.")
@click.option("-f", "--filter", "filters", type=_FilterType(), multiple=True, help="Show only some (repeatable).")
@click.pass_obj
def command(
    services: CliServices, show_all: bool, quiet: bool, as_json: bool, filters: tuple[tuple[str, str], ...]
) -> None:
    # Whoever asks for a state that only ended pods have wants those.
    show_all = show_all or any(key == "status" for key, _ in filters)
    records = [
        record
        for record in services.long_lived.registry().records()
        if (show_all or not record.phase.is_over) and _passes(record, filters)
    ]
    if as_json:
        import json

        click.echo(json.dumps([record_values(record) for record in records], indent=2))
    elif quiet:
        for record in records:
            click.echo(record.id)
    else:
        _print_table(records)


def _passes(record: PodRecord, filters: tuple[tuple[str, str], ...]) -> bool:
    keys = {key for key, _ in filters}
    return all(any(_FILTERS[key](record, value) for name, value in filters if name == key) for key in keys)


def _print_table(records: list[PodRecord]) -> None:
    from .table import print_table

    now = time.time()
    rows = [
        (
            record.id,
            record.source,
            ",".join(one.id for one in record.containers if not one.is_init) or "-",
            status_text(record, now),
            " ".join(record.ports) or "-",
            str(sum(one.restarts for one in record.containers)),
            f"{age(now - record.created)} ago",
        )
        for record in records
    ]
    print_table(("POD", "SOURCE", "CONTAINERS", "STATUS", "PORTS", "RESTARTS", "CREATED"), rows)
