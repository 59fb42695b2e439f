"""How long the stages of one piece of work took."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping

from firkin.domain.errors import FirkinError


class Stages:
    """Collects seconds by stage, in order; a stage that fails counts until then, and its error tells all of them.

    Attributes:
        seconds: so far.
        total_seconds: of the whole piece of work, from the making of this object to `end`; 0 before that.
    """

    def __init__(self) -> None:
        self._begun = time.perf_counter()
        self.seconds: dict[str, float] = {}
        self.total_seconds = 0.0

    def end(self) -> None:
        """The work is done."""
        self.total_seconds = time.perf_counter() - self._begun

    @contextlib.contextmanager
    def stage(self, name: str, parts: Mapping[str, float] | None = None) -> Iterator[None]:
        """Measure a body.

        What others have measured of it, it puts into `parts`, by stage: that counts as told, and as this stage what is
        left of the time, unless it is among them.
        """
        # It takes its place in the order now, before its parts.
        self.add({name: 0.0})
        begun = time.perf_counter()
        failure: FirkinError | None = None
        try:
            yield
        except FirkinError as error:
            failure = error.in_stage(name)
            raise
        finally:
            told = {} if parts is None else dict(parts)
            told.setdefault(name, max(time.perf_counter() - begun - sum(told.values()), 0.0))
            self.add(told)
            if failure is not None:
                failure.after(self.seconds)

    def add(self, seconds: Mapping[str, float]) -> None:
        """Count what was measured by somebody else."""
        for name, more in seconds.items():
            self.seconds[name] = self.seconds.get(name, 0.0) + more
