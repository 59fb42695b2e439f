"""What can go wrong with a call, and the errors that tell of it."""

from __future__ import annotations

import enum
import errno

import msgspec

from firkin.domain.errors import (
    AgentError,
    AgentUnreachable,
    BootFailed,
    DeadlineExceeded,
    FirkinError,
    ImageNotFound,
    Outcome,
    StoreDamaged,
    StoreFull,
    StoreInUse,
    SupervisorUnreachable,
)


class FaultKind(enum.StrEnum):
    """One way in which a call goes wrong."""

    DROP = "drop"
    """The connection breaks: before the request has left, or (`after`) before the answer has come."""
    DELAY = "delay"
    """It takes `seconds` longer, and succeeds."""
    NO_SPACE = "no space"
    """ENOSPC; nothing is done."""
    IO_ERROR = "io error"
    """EIO; nothing is done, or (`after`) it was."""
    DIE = "die"
    """The sandbox ends, before the call or after it."""
    FREEZE = "freeze"
    """Nobody answers until the deadline; nothing is done."""
    LATE = "late"
    """It is done, and the answer comes after the deadline."""
    DUPLICATE = "duplicate"
    """The request arrives twice."""


class Fault(msgspec.Struct, frozen=True):
    """A fault of one call.

    Attributes:
        after: the call has had its effect by then. LATE and DUPLICATE always have.
        seconds: of a DELAY, and until the deadline that FREEZE and LATE miss.
        at_byte: of a stream or of written files: the call that passes this many bytes in all is the one.
    """

    kind: FaultKind
    after: bool = False
    seconds: float = 30.0
    at_byte: int | None = None

    @property
    def has_effect(self) -> bool:
        """Whether the call is made all the same."""
        return self.after or self.kind in (FaultKind.DELAY, FaultKind.LATE, FaultKind.DUPLICATE)

    def __str__(self) -> str:
        byte = "" if self.at_byte is None else f" at byte {self.at_byte}"
        return f"{self.kind}{' after' if self.after else ''}{byte}"


def error_of(fault: Fault, call: str) -> FirkinError:
    """What the port of this call raises for such a fault."""
    port = call.partition(".")[0]
    made = _HOST_ERRORS[port](fault, call) if port in _HOST_ERRORS else _agent_error(fault, call)
    return made.during(call, outcome=_outcome(fault))


def _outcome(fault: Fault) -> Outcome:
    if fault.kind is FaultKind.FREEZE or fault.has_effect:
        return Outcome.MAY_HAVE
    return Outcome.DID_NOT


def _agent_error(fault: Fault, call: str) -> FirkinError:
    if fault.kind is FaultKind.NO_SPACE:
        return StoreFull(f"injected at {call}")
    if fault.kind is FaultKind.IO_ERROR:
        return AgentError(call, "injected", errno=errno.EIO)
    if fault.kind in (FaultKind.FREEZE, FaultKind.LATE):
        return DeadlineExceeded(call, fault.seconds)
    return AgentUnreachable(f"injected at {call}")


def _boot_error(fault: Fault, call: str) -> FirkinError:
    return BootFailed(call, f"injected: {fault}")


def _store_error(fault: Fault, call: str) -> FirkinError:
    if fault.kind is FaultKind.NO_SPACE:
        return StoreFull(f"injected at {call}")
    return StoreInUse(call) if fault.kind is FaultKind.FREEZE else StoreDamaged(call, f"injected: {fault}")


def _image_error(fault: Fault, call: str) -> FirkinError:
    return ImageNotFound(call, f"injected: {fault}")


def _control_error(fault: Fault, call: str) -> FirkinError:
    return SupervisorUnreachable("pod", f"injected at {call}: {fault}")


_HOST_ERRORS = {
    "vmm": _boot_error,
    "agents": _boot_error,
    "store": _store_error,
    "images": _image_error,
    "controls": _control_error,
    "control": _control_error,
}
