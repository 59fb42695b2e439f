"""What a check of the machine came to."""

from __future__ import annotations

import enum
from typing import NamedTuple


class Verdict(enum.StrEnum):
    """How a check ended."""

    OK = "ok"
    NOTE = "note"
    """Works without it, or with less."""
    MISSING = "missing"
    """Pods cannot run without it."""


class Check(NamedTuple):
    """One finding: what was looked at, how it is, and the command that mends it ("" when none does or needs to)."""

    name: str
    verdict: Verdict
    detail: str
    remedy: str = ""
