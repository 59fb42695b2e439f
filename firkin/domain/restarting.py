"""When a container that ended is started again, and how soon."""

from __future__ import annotations

import enum

from .process import ExitStatus

FIRST_PAUSE_SECONDS = 10.0
LONGEST_PAUSE_SECONDS = 300.0
FORGIVEN_AFTER_SECONDS = 600.0


class RestartPolicy(enum.StrEnum):
    """What becomes of a container of a pod that ended by itself."""

    NEVER = "never"
    """It stays ended. The default."""
    ON_FAILURE = "on-failure"
    """It is started again unless it ended with exit code 0."""
    ALWAYS = "always"
    """It is started again."""

    def wants_restart(self, status: ExitStatus) -> bool:
        """True when a container that ended so is to be started again."""
        return self is RestartPolicy.ALWAYS or (self is RestartPolicy.ON_FAILURE and not status.success)


class BackOff:
    """How long to wait before each restart: 10 s, then twice as long each time, up to 300 s, as Kubernetes has it."""

    def __init__(self) -> None:
        self._next_seconds = FIRST_PAUSE_SECONDS

    def pause_seconds(self, ran_seconds: float) -> float:
        """The pause after a run of this length; one of 10 minutes makes up for all that was before."""
        if ran_seconds >= FORGIVEN_AFTER_SECONDS:
            self._next_seconds = FIRST_PAUSE_SECONDS
        pause = self._next_seconds
        self._next_seconds = min(pause * 2, LONGEST_PAUSE_SECONDS)
        return pause
