"""Many cases in one test."""

from __future__ import annotations

import os
import traceback
from collections.abc import Awaitable, Callable

import pytest

SEED = int(os.environ.get("FIRKIN_FAULT_SEED", "20240229"))

Note = Callable[[str, object], None]


class Failures:
    """Runs cases and keeps those that went wrong, so that one run tells of all of them."""

    def __init__(self) -> None:
        self.count = 0
        self._told: list[str] = []

    async def run(self, label: object, work: Awaitable[object]) -> None:
        """Run one case."""
        self.count += 1
        try:
            await work
        except Exception as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            where = [f for f in traceback.extract_tb(error.__traceback__) if "fault_matrix" in f.filename][-1]
            self._told.append(f"{label}: {error!r} ({where.name}:{where.lineno}, {last.name}:{last.lineno})")

    def check(self) -> None:
        """Fail when any of them went wrong."""
        if self._told:
            pytest.fail(f"{len(self._told)} of {self.count} cases:\n" + "\n".join(self._told[:40]), pytrace=False)
