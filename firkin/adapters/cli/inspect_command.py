"""`firkin inspect`: all that is known of pods."""

from __future__ import annotations

import json

import click

from .pod_argument import pods_argument
from .record_text import formatted, record_values
from .services import CliServices

_HELP = """Print all that is known of pods, running and ended, as a JSON list; with --format, a line for each.

\b
  firkin inspect web
  firkin inspect --format '{{.phase}} {{.exit_code}}' web
  firkin inspect --format '{{.containers.main.status.code}}' web      an item of a list by its id, or its number
  firkin inspect --format '{{json .containers}}' web db

Moments are seconds since 1970, 0 before they have come."""


@click.command("inspect", help=_HELP)
@click.option("-f", "--format", "template", metavar="TEMPLATE", help="Print this, with {{.FIELD}} filled in.")
@pods_argument
@click.pass_obj
def command(services: CliServices, template: str | None, pods: tuple[str, ...]) -> None:
    registry = services.long_lived.registry()
    values = [record_values(registry.record(pod)) for pod in pods]
    if template is None:
        click.echo(json.dumps(values, indent=2))
    else:
        for one in values:
            click.echo(formatted(template, one))
