"""Rows as aligned columns, the same on a terminal and elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import click


def print_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a header and rows; characters that could steer a terminal are shown as `?`."""
    lines = [tuple(header), *(tuple(map(_printable, row)) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)
