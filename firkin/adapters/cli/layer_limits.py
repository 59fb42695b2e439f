"""What a layer may amount to, on the command line: `entries=100000`, `tar-bytes=2GiB`."""

from __future__ import annotations

import click

from .size_type import SizeType

_COUNT_DIGITS = 20

LAYER_LIMITS = (
    "entries",
    "name-bytes",
    "header-bytes",
    "depth",
    "tar-bytes",
    "expansion",
    "expansion-free-bytes",
    "window-bytes",
)
"""The names, which are those of the engine's limits with dashes."""


class LayerLimitType(click.ParamType[tuple[str, int]]):
    """Reads `NAME=NUMBER`; bytes may have a unit."""

    name = "NAME=NUMBER"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        from firkin.domain.layer_limits import changed_limits

        if isinstance(value, tuple):
            return value
        name, equals, text = str(value).partition("=")
        if name not in LAYER_LIMITS or not equals:
            self.fail(f"{value!r} is none of {', '.join(f'{limit}=...' for limit in LAYER_LIMITS)}", param, ctx)
        number = SizeType().convert(text, param, ctx) if name.endswith("-bytes") else self._count(text, param, ctx)
        field = name.replace("-", "_")
        try:
            changed_limits({field: number})
        except ValueError as error:
            self.fail(str(error), param, ctx)
        return field, number

    def _count(self, text: str, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if not text.isascii() or not text.isdigit() or len(text) > _COUNT_DIGITS:
            self.fail(f"{text!r} is not a number of at most {_COUNT_DIGITS} digits", param, ctx)
        return int(text)
