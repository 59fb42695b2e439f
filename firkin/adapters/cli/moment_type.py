"""Moments on the command line: `10m` ago, `2026-01-31T12:00:00Z`, seconds since 1970."""

from __future__ import annotations

import contextlib
import re
import time
from datetime import UTC, datetime

import click

_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_LATEST = datetime(9999, 12, 31, tzinfo=UTC).timestamp()


class MomentType(click.ParamType[float]):
    """Reads a moment as seconds since 1970; one without a zone is local time. Earlier ones count as 1970."""

    name = "MOMENT"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        text = str(value)
        try:
            moment = _moment(text)
        except (ValueError, OverflowError):
            self.fail(f"{text!r} is no moment: give 10m, 1h30m, 2026-01-31T12:00:00Z or seconds since 1970", param, ctx)
        if not moment <= _LATEST:
            self.fail(f"{text!r} is no moment before the year 10000", param, ctx)
        return max(moment, 0.0)


def _moment(text: str) -> float:
    parts = _PART.findall(text)
    if parts and _PART.sub("", text) == "":
        return time.time() - sum(float(number) * _UNITS[unit] for number, unit in parts)
    with contextlib.suppress(ValueError):
        return float(text)
    return datetime.fromisoformat(text).timestamp()
