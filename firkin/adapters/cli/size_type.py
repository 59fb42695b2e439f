"""Sizes on the command line: `64`, `64MiB`, `1.5G`."""

from __future__ import annotations

import click


class SizeType(click.ParamType[int]):
    """Reads a number of bytes."""

    name = "SIZE"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        from firkin.domain.errors import InvalidSize
        from firkin.domain.size import Size

        try:
            return Size.parse(str(value))
        except InvalidSize as error:
            self.fail(str(error), param, ctx)
