"""What became of things that take space, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from firkin.domain.reclaiming import Reclaiming


def show_reclaiming(decisions: tuple[Reclaiming, ...], *, dry_run: bool) -> None:
    """Print a line for each, and how much is freed and kept."""
    from firkin.domain.size import Size

    from .table import print_table

    removed = "would remove" if dry_run else "removed"
    rows = [
        (
            removed if decision.is_removed else "kept",
            decision.item.kind.value,
            decision.item.identity.removeprefix("sha256:")[:25],
            str(Size(decision.item.size_bytes)),
            decision.reason,
        )
        for decision in decisions
    ]
    if rows:
        print_table(("", "WHAT", "ID", "SIZE", "WHY"), rows)
    freed = Size(sum(decision.item.size_bytes for decision in decisions if decision.is_removed))
    left = Size(sum(decision.item.size_bytes for decision in decisions if not decision.is_removed))
    click.echo(f"{freed} {'would be freed' if dry_run else 'freed'}, {left} kept")
