"""The root of all errors of firkin."""

from __future__ import annotations

import enum
from collections.abc import Mapping
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
        operation: what was being done, in the words of the operation labels ("mount pod store"), or "".
        pod_id, container_id: whom it happened to, or None.
        retryable: True when the same call may succeed later without any change by the caller.
        outcome: for anything that crossed the wire, whether it happened; None for what never left the host.
        stage_seconds: of a pod that failed to spawn, what its stages took until then, in order.
        exit_code: what the command line exits with: 125 for firkin's own failures, as `docker run` does.
    """

    code: ClassVar[str] = "error"
    retryable: bool = False
    exit_code: ClassVar[int] = 125

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.operation: str = ""
        self.pod_id: str | None = None
        self.container_id: str | None = None
        self.outcome: Outcome | None = None
        self.stage_seconds: Mapping[str, float] = {}

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

    def __reduce__(self) -> tuple[object, ...]:
        # The default calls the class with the message alone, which few of the subclasses take.
        return restored, (type(self), self.args, self.__dict__)


def restored(kind: type[FirkinError], args: tuple[object, ...], attributes: dict[str, object]) -> FirkinError:
    """Make an error again from its parts, without its class's constructor."""
    error = kind.__new__(kind, *args)
    error.__dict__.update(attributes)
    return error
