"""`firkin doctor`: what this machine can do and, for what is missing, the command that mends it."""

from __future__ import annotations

from collections.abc import Sequence

import click

from .services import CliServices

_HELP = """Say what this machine can do and, for what is missing, the command that mends it.

\b
  firkin doctor
  firkin doctor --json | jq '.checks[] | select(.verdict != "ok")'

\b
Verdicts: ok; note (pods run without it, or with less); missing (pods do not run).
Exit codes: 0; 1 when something that pods need is missing."""


@click.command("doctor", help=_HELP)
@click.option("--json", "as_json", is_flag=True, help="Print JSON: {ready, checks: [{name, verdict, detail, remedy}]}.")
@click.pass_obj
def command(services: CliServices, as_json: bool) -> int:
    from .machine_checks import Check, Verdict, machine_checks

    checks: list[Check] = list(machine_checks(services.places()))
    ready = all(check.verdict is not Verdict.MISSING for check in checks)
    if as_json:
        import json

        click.echo(json.dumps({"ready": ready, "checks": [check._asdict() for check in checks]}, indent=2))
    else:
        _print_table([(check.name, check.verdict.value, check.detail, check.remedy) for check in checks])
        click.echo("Pods can run here." if ready else "Pods cannot run here until what is missing is mended.")
    return 0 if ready else 1


_STYLES = {"ok": "green", "note": "yellow", "missing": "bold red"}


def _print_table(rows: Sequence[tuple[str, str, str, str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if not console.is_terminal:
        for name, verdict, detail, remedy in rows:
            mend = f"  (mend: {remedy})" if remedy else ""
            click.echo(f"{verdict:<8} {name:<18} {detail}{mend}")
        return
    table = Table("", "what", "how it is", "what mends it", box=None, header_style="bold")
    for name, verdict, detail, remedy in rows:
        table.add_row(Text(verdict, _STYLES[verdict]), name, Text(detail), Text(remedy))
    console.print(table)
