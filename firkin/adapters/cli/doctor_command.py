"""`firkin doctor`: what this machine can do and, for what is missing, the command that mends it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from .services import CliServices

if TYPE_CHECKING:
    from firkin.domain.reports import Capabilities

_HELP = """Say what this machine can do and, for what is missing, the command that mends it.

\b
  firkin doctor
  firkin doctor --json | jq '.checks[] | select(.verdict != "ok")'

\b
Verdicts: ok; note (pods run without it, or with less); missing (pods do not run).
Promises of the configured kind of sandbox: enforced; best effort; not here.
Exit codes: 0; 1 when something that pods need is missing."""


@click.command("doctor", help=_HELP)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print JSON: {ready, checks: [{name, verdict, detail, remedy}], promises: [{name, promise, reason}]}.",
)
@click.pass_obj
def command(services: CliServices, as_json: bool) -> int:
    from .check import Check, Verdict
    from .machine_checks import kvm_check, machine_checks

    kvm = kvm_check(services.kvm_obstacle(), services.kvm_finding())
    checks: list[Check] = list(machine_checks(services.places(), kvm, services.vhost_obstacle()))
    promises = asyncio.run(_promises(services))
    ready = all(check.verdict is not Verdict.MISSING for check in checks)
    if as_json:
        import json

        told = [{"name": one.name, "promise": one.promise.value, "reason": one.reason} for one in promises.promises]
        report = {"ready": ready, "checks": [check._asdict() for check in checks], "promises": told}
        click.echo(json.dumps(report, indent=2))
    else:
        _print_table([(check.name, check.verdict.value, check.detail, check.remedy) for check in checks])
        click.echo(f"What {promises.vmm} sandboxes promise here:")
        _print_table([(one.name, one.promise.value, one.reason, "") for one in promises.promises])
        click.echo("Pods can run here." if ready else "Pods cannot run here until what is missing is mended.")
    return 0 if ready else 1


async def _promises(services: CliServices) -> Capabilities:
    async with services.open_runtime() as runtime:
        return runtime.capabilities()


_STYLES = {
    **{"ok": "green", "note": "yellow", "missing": "bold red"},
    **{"enforced": "green", "best effort": "yellow", "not here": "yellow"},
}


def _print_table(rows: Sequence[tuple[str, str, str, str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if not console.is_terminal:
        for name, verdict, detail, remedy in rows:
            mend = f"  (mend: {remedy})" if remedy else ""
            click.echo(f"{verdict:<11} {name:<26} {detail}{mend}".rstrip())
        return
    table = Table("", "what", "how it is", "what mends it", box=None, header_style="bold")
    for name, verdict, detail, remedy in rows:
        table.add_row(Text(verdict, _STYLES[verdict]), name, Text(detail), Text(remedy))
    console.print(table)
