"""The root of all errors of firkin."""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Iterator, Mapping
from errno import EIO
from typing import ClassVar, Self


class Outcome(enum.StrEnum):
    """What became of an operation that crossed the wire and failed."""

    DID_NOT = "did not happen"
    DID = "happened"
    MAY_HAVE = "may have happened"


class FirkinError(Exception):
    """Anything that firkin refuses or fails to do.

    Attributes:
        code: a stable name of the class, for programs (`"store-full"`).
        errno: the error number of Linux that says what it is: the class's, or the error's own where there may be
            several. 0 only in an AgentError, of an agent that told none.
        operation: what was being done, in the words of the operation labels ("mount pod store"), or "".
        pod_id, container_id: whom it happened to, or None.
        retryable: True when the same call may succeed later without any change by the caller.
        outcome: for anything that crossed the wire, whether it happened; None for what never left the host.
        stage_seconds: of what is done in stages (spawning a pod, making a template, starting a container), what each
            took until then, in order; the parts of a stage follow it (see `domain/stages.py`).
        failed_stage: the innermost one of them that failed; "" for what is not done in stages.
        exit_code: what the command line exits with: 125 for firkin's own failures, as `docker run` does.
    """

    code: ClassVar[str] = "error"
    errno: int = EIO
    retryable: bool = False
    exit_code: ClassVar[int] = 125

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.operation: str = ""
        self.pod_id: str | None = None
        self.container_id: str | None = None
        self.outcome: Outcome | None = None
        self.stage_seconds: Mapping[str, float] = {}
        self.failed_stage: str = ""

    def during(
        self,
        operation: str,
        *,
        pod_id: str | None = None,
        container_id: str | None = None,
        outcome: Outcome | None = None,
    ) -> Self:
        """Return this error with what is not known yet filled in: the innermost operation wins."""
        self.operation = self.operation or operation
        self.pod_id = self.pod_id or pod_id
        self.container_id = self.container_id or container_id
        self.outcome = self.outcome or outcome
        return self

    def in_stage(self, stage: str) -> Self:
        """Return this error with the stage that failed, if that is not known yet: the innermost wins."""
        self.failed_stage = self.failed_stage or stage
        return self

    def after(self, stage_seconds: Mapping[str, float]) -> Self:
        """Return this error with what the stages of the work around it took, before those that it knows."""
        self.stage_seconds = {**stage_seconds, **self.stage_seconds}
        return self

    def __reduce__(self) -> tuple[object, ...]:
        # The default calls the class with the message alone, which few of the subclasses take.
        return restored, (type(self), self.args, self.__dict__)


@contextlib.contextmanager
def failing_in(stage: str) -> Iterator[None]:
    """Let the errors of a body tell that it was this stage that failed."""
    try:
        yield
    except FirkinError as error:
        error.in_stage(stage)
        raise


def restored(kind: type[FirkinError], args: tuple[object, ...], attributes: dict[str, object]) -> FirkinError:
    """Make an error again from its parts, without its class's constructor."""
    error = kind.__new__(kind, *args)
    error.__dict__.update(attributes)
    return error
