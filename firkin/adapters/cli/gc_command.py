"""`firkin gc`: removes what killed processes of firkin left."""

from __future__ import annotations

import asyncio

import click

from .pod_end import tell
from .services import CliServices

_HELP = """Find and remove what processes of firkin left that were killed: processes, mounts, loop devices, control
groups, sockets, files of pods.

\b
  firkin gc --dry-run                what would go
  firkin gc

Nothing of a pod that lives is touched, whoever runs it: the locks of living processes decide. What a pod with a
supervisor wrote stays, until `firkin rm`. The next pod that starts tidies up as well.

\b
Exit codes: 0; 1 when something could not be removed, which is told with the reason."""


@click.command("gc", help=_HELP)
@click.option("--dry-run", is_flag=True, help="Remove nothing, only tell.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: [{kind, name, detail, problem}].")
@click.pass_obj
def command(services: CliServices, dry_run: bool, as_json: bool) -> int:
    from firkin.application.collecting import collected

    results = asyncio.run(collected(services.long_lived.leftovers(), dry_run=dry_run))
    if as_json:
        import json

        import msgspec

        values = [{**msgspec.structs.asdict(one.leftover), "problem": one.problem} for one in results]
        click.echo(json.dumps(values, indent=2))
    else:
        for one in results:
            if one.problem:
                tell(f"error: {one.leftover.kind} {one.leftover.name} is still there: {one.problem}")
                continue
            detail = f" ({one.leftover.detail})" if one.leftover.detail else ""
            click.echo(f"{'would remove' if dry_run else 'removed'} {one.leftover.kind} {one.leftover.name}{detail}")
        if not results:
            click.echo("nothing is left over")
    return 1 if any(one.problem for one in results) else 0
