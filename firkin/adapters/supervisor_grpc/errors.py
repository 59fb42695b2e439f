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
# Headers of HTTP/2 have 8 KiB together, of which gRPC needs some: an error that is larger would not arrive at all.
_DETAIL_BYTES = 6000
_TEXT_BYTES = (2048, 1024, 512, 128)
_GAP = b"\n...\n"


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
    detail = b""
    for text_bytes in _TEXT_BYTES:
        detail = _detail(description, text_bytes)
        if len(detail) <= _DETAIL_BYTES:
            break
    await context.abort(code, description.code, ((_KEY, detail),))


def _detail(description: ErrorDescription, text_bytes: int) -> bytes:
    """The description on its way, with so many bytes of each text."""
    attributes = {
        name: _shortened(value, text_bytes) if isinstance(value, str) else value
        for name, value in description.attributes.items()
    }
    return ErrorDetail(
        code=description.code,
        message=_shortened(description.message, text_bytes),
        attributes=msgspec.json.encode(attributes),
        stage_seconds=description.stage_seconds,
    ).SerializeToString()


def _shortened(text: str, text_bytes: int) -> str:
    """The beginning and the end of a text: an error's sentence begins it, the last lines of a console end it."""
    data = text.encode("utf-8", "backslashreplace")
    if len(data) > text_bytes:
        half = (text_bytes - len(_GAP)) // 2
        data = data[:half] + _GAP + data[-half:]
    return data.decode("utf-8", "ignore")


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
