"""How long the stages of one piece of work took."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator


class Stages:
    """Collects seconds by stage, in order; a stage that fails counts until then.

    Attributes:
        seconds: so far.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure a body."""
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - begun
