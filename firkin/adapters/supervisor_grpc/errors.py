"""Errors on their way from a supervisor to a command: the one place where they become gRPC statuses, and back."""

from __future__ import annotations

import asyncio
import sys
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import msgspec
from google.protobuf.message import DecodeError
from grpc import StatusCode
from grpc.aio import AbortError, AioRpcError, ServicerContext

from firkin.domain.errors import FirkinError, SupervisorUnreachable
from firkin.domain.errors.description import ErrorDescription, described, raised_again
from firkin.domain.ids import PodId
from firkin.wire.supervisor_pb2 import ErrorDetail

_KEY = "firkin-error-bin"
_MESSAGE_BYTES = 2048


@asynccontextmanager
async def answering(context: ServicerContext[object, object]) -> AsyncIterator[None]:
    """Turn whatever the block raises into the call's status; a defect is logged as well."""
    try:
        yield
    except (AbortError, asyncio.CancelledError, GeneratorExit):
        raise
    except FirkinError as error:
        await _abort(context, StatusCode.FAILED_PRECONDITION, error)
    except Exception as error:
        traceback.print_exception(error, file=sys.stderr)
        told = f"the supervisor has a defect: {type(error).__name__}: {error}"
        await _abort(context, StatusCode.INTERNAL, FirkinError(told))


async def _abort(context: ServicerContext[object, object], code: StatusCode, error: FirkinError) -> None:
    description = described(error)
    detail = ErrorDetail(
        code=description.code,
        message=description.message[:_MESSAGE_BYTES],
        attributes=msgspec.json.encode(description.attributes),
        stage_seconds=description.stage_seconds,
    )
    await context.abort(code, detail.code, ((_KEY, detail.SerializeToString()),))


@contextmanager
def raising_again(pod_id: PodId) -> Iterator[None]:
    """Raise what a call failed with as the error that it was on the other side.

    Raises:
        SupervisorUnreachable: the supervisor does not answer, or went away.
    """
    try:
        yield
    except AioRpcError as error:
        description = _description(error)
        if description is None:
            raise SupervisorUnreachable(pod_id, error.details() or error.code().name.lower()) from error
        raise raised_again(description) from error


def _description(error: AioRpcError) -> ErrorDescription | None:
    for key, value in error.trailing_metadata() or ():
        if key == _KEY and isinstance(value, bytes):
            try:
                detail = ErrorDetail.FromString(value)
                attributes = msgspec.json.decode(detail.attributes, type=dict[str, str | int | float | bool | None])
            except (DecodeError, msgspec.MsgspecError):
                return None
            return ErrorDescription(detail.code, detail.message, attributes, dict(detail.stage_seconds))
    return None
