"""What a failed call becomes: the one place where gRPC's errors turn into firkin's."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping

import msgspec
from google.protobuf.message import DecodeError
from google.rpc.status_pb2 import Status
from grpc import StatusCode
from grpc.aio import AioRpcError

from firkin.domain import errors as domain_errors
from firkin.domain.errors import AgentError, AgentUnreachable, DeadlineExceeded, FirkinError, Outcome
from firkin.domain.stages import CONTAINER_STAGES, told_stages
from firkin.wire.agent_pb2 import ErrorDetail

_DETAILS_KEY = "grpc-status-details-bin"

# Codes by which an agent says that it refused before it began. INTERNAL, UNKNOWN and the like say nothing of that.
_REFUSALS = frozenset(
    {
        StatusCode.ALREADY_EXISTS,
        StatusCode.FAILED_PRECONDITION,
        StatusCode.INVALID_ARGUMENT,
        StatusCode.NOT_FOUND,
        StatusCode.OUT_OF_RANGE,
        StatusCode.PERMISSION_DENIED,
        StatusCode.RESOURCE_EXHAUSTED,
        StatusCode.UNAUTHENTICATED,
        StatusCode.UNIMPLEMENTED,
    }
)

_CONVERSIONS: Mapping[str, Callable[[str], object]] = {
    "str": str,
    "str | None": str,
    "int": int,
    "float": float,
}


class CallKind(msgspec.Struct, frozen=True):
    """What has to be known of a call to tell what its failure means.

    Attributes:
        operation: its label.
        deadline_seconds: how long it may take, or None for as long as it likes.
        changes: False for a call that only reads: whatever becomes of it, nothing has happened.
    """

    operation: str
    deadline_seconds: float | None
    changes: bool = True

    @property
    def interrupted_outcome(self) -> Outcome:
        """What became of the call when its answer never came."""
        return Outcome.MAY_HAVE if self.changes else Outcome.DID_NOT


def translated(error: AioRpcError, call: CallKind) -> FirkinError:
    """The error to raise for a call that failed.

    Rich details of firkin.agent.v1 win over the status; the agent names what failed, so it did not happen.
    """
    detail = error_detail(error)
    if detail is not None:
        return _from_detail(detail, error, call)
    reason = error.details() or f"the agent answered {error.code().name}"
    if error.code() is StatusCode.UNAVAILABLE:
        # gRPC words it like this exactly when no connection was made, so that the call never left.
        never_left = reason.startswith("failed to connect")
        outcome = Outcome.DID_NOT if never_left else call.interrupted_outcome
        return AgentUnreachable(reason).during(call.operation, outcome=outcome)
    if error.code() is StatusCode.DEADLINE_EXCEEDED:
        return deadline_exceeded(call)
    outcome = Outcome.DID_NOT if error.code() in _REFUSALS else call.interrupted_outcome
    return AgentError(call.operation, reason).during(call.operation, outcome=outcome)


def deadline_exceeded(call: CallKind) -> DeadlineExceeded:
    """The error for a call that took too long."""
    seconds = call.deadline_seconds or 0.0
    return DeadlineExceeded(call.operation, seconds).during(call.operation, outcome=call.interrupted_outcome)


def error_detail(error: AioRpcError) -> ErrorDetail | None:
    """What the agent said of the failure beyond gRPC's status, or None when it said nothing that can be read."""
    for key, value in error.trailing_metadata() or ():
        if key != _DETAILS_KEY or not isinstance(value, bytes):
            continue
        try:
            for packed in Status.FromString(value).details:
                detail = ErrorDetail()
                if packed.Unpack(detail):
                    return detail
        except DecodeError:
            return None
    return None


def _from_detail(detail: ErrorDetail, error: AioRpcError, call: CallKind) -> FirkinError:
    operation = detail.operation or call.operation
    kind = _classes_by_code().get(detail.code)
    made = None if kind is None else _constructed(kind, detail, error)
    if made is None:
        reason = detail.reason or error.details() or "no reason was given"
        made = AgentError(operation, reason, path=detail.path, errno=detail.errno)
    if detail.failed_stage in CONTAINER_STAGES:
        made.in_stage(detail.failed_stage)
    made.after(told_stages(detail.stage_seconds, CONTAINER_STAGES))
    told = detail.values
    return made.during(
        operation,
        pod_id=told.get("pod_id"),
        container_id=told.get("container_id"),
        outcome=Outcome.DID_NOT,
    )


@functools.cache
def _classes_by_code() -> Mapping[str, type[FirkinError]]:
    listed = (getattr(domain_errors, name) for name in domain_errors.__all__)
    classes = (kind for kind in listed if isinstance(kind, type) and issubclass(kind, FirkinError))
    # Classes without a code of their own have their parent's; the parent is the one that is meant.
    return {kind.code: kind for kind in classes if "code" in vars(kind) and kind is not AgentError}


def _constructed(kind: type[FirkinError], detail: ErrorDetail, error: AioRpcError) -> FirkinError | None:
    """An error of class `kind` with the detail's values; None when they do not fit its constructor."""
    known = {
        "path": detail.path,
        "errno": str(detail.errno or ""),
        "reason": detail.reason,
        "operation": detail.operation,
        "message": detail.reason or error.details() or "",
        **detail.values,
    }
    arguments: dict[str, object] = {}
    for name, parameter in inspect.signature(kind).parameters.items():
        convert = _CONVERSIONS.get(str(parameter.annotation))
        text = known.get(name, "")
        if parameter.default is not inspect.Parameter.empty and not text:
            continue
        if convert is None:
            return None
        try:
            arguments[name] = convert(text)
        except ValueError:
            return None
    make: Callable[..., FirkinError] = kind
    return make(**arguments)
