"""Environment variables on the command line: `K=V`."""

from __future__ import annotations

import click


class VariableType(click.ParamType[tuple[str, str]]):
    """`K=V`; as with docker, the value may be empty and may hold further `=`."""

    name = "K=V"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        key, equals, text = str(value).partition("=")
        if not key or not equals:
            self.fail(f"{value!r} is not of the form K=V", param, ctx)
        return key, text
