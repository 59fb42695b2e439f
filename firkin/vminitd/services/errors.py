"""The one place where the agent's errors become gRPC statuses with details."""

from __future__ import annotations

import asyncio
import errno
import inspect
import os
import sys
import traceback
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from google.protobuf.message import DecodeError
from grpc import StatusCode
from grpc.aio import AbortError, ServicerContext

from firkin.domain.errors import (
    AgentError,
    AgentUnreachable,
    ContainerExists,
    ContainerNotFound,
    ContainerNotRunning,
    FirkinError,
    ImageError,
    InvalidArgument,
    MissingTool,
    NoTerminal,
    PathRefused,
    StartFailed,
    StoreFull,
    UnsupportedFeature,
)
from firkin.wire.agent_pb2 import ErrorDetail

from ..error_numbers import number_of
from .error_details import DETAILS_KEY, fitting, shortened, text

_STATUSES: tuple[tuple[type[FirkinError], StatusCode], ...] = (
    (InvalidArgument, StatusCode.INVALID_ARGUMENT),
    (PathRefused, StatusCode.INVALID_ARGUMENT),
    (ContainerExists, StatusCode.ALREADY_EXISTS),
    (ContainerNotFound, StatusCode.NOT_FOUND),
    (ContainerNotRunning, StatusCode.FAILED_PRECONDITION),
    (StartFailed, StatusCode.FAILED_PRECONDITION),
    (NoTerminal, StatusCode.FAILED_PRECONDITION),
    (MissingTool, StatusCode.FAILED_PRECONDITION),
    (StoreFull, StatusCode.RESOURCE_EXHAUSTED),
    (ImageError, StatusCode.DATA_LOSS),
    (UnsupportedFeature, StatusCode.UNIMPLEMENTED),
    (AgentUnreachable, StatusCode.UNAVAILABLE),
)
_ERRNO_STATUSES = {
    errno.ENOENT: StatusCode.NOT_FOUND,
    errno.ESRCH: StatusCode.NOT_FOUND,
    errno.EEXIST: StatusCode.ALREADY_EXISTS,
    errno.EINVAL: StatusCode.INVALID_ARGUMENT,
    errno.EPERM: StatusCode.PERMISSION_DENIED,
    errno.EACCES: StatusCode.PERMISSION_DENIED,
}
_PATH_CHARACTERS = 4095  # PATH_MAX, with its NUL
_TOLD_CHARACTERS = 100


@asynccontextmanager
async def answering(
    context: ServicerContext[object, object], operation: str, path: str = "", **subject: str
) -> AsyncIterator[None]:
    """Turn whatever the block raises into the call's status; a defect becomes INTERNAL and is logged.

    The error tells the path that it is about, or the call is; and who or what else the call is about, by `subject`:
    ids by their names.
    """
    try:
        refuse_impossible(path)
        yield
    except (AbortError, asyncio.CancelledError, GeneratorExit):
        raise
    except Exception as error:
        await abort(context, error, operation, path, subject)


def refuse_impossible(path: str) -> None:
    """Refuse what cannot be the path of anything.

    Raises:
        PathRefused, OSError: it has a NUL, or is longer than any path.
    """
    if "\0" in path:
        raise PathRefused(path, "it contains NUL")
    if len(path) > _PATH_CHARACTERS:
        raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), f"{path[:_TOLD_CHARACTERS]}...")


async def abort(
    context: ServicerContext[object, object],
    error: Exception,
    operation: str,
    path: str = "",
    subject: Mapping[str, str] | None = None,
) -> None:
    """End the call with the status and the details of `error`."""
    code, detail = described(error, operation, path, subject)
    told = shortened(f"vminitd: {operation} {path[:_TOLD_CHARACTERS]} failed: {error!r}").replace("\n", "\\n")
    print(told, file=sys.stderr, flush=True)
    if code is StatusCode.INTERNAL and not isinstance(error, FirkinError | OSError):
        traceback.print_exception(error, file=sys.stderr)
    sentence = str(error) if isinstance(error, FirkinError) else _sentence(detail)
    message, packed = fitting(code, sentence, detail)
    await context.abort(code, message, ((DETAILS_KEY, packed),))


def described(
    error: Exception, operation: str, path: str = "", subject: Mapping[str, str] | None = None
) -> tuple[StatusCode, ErrorDetail]:
    """The status and the details of an error. There is always an errno: EIO where nothing says more."""
    if isinstance(error, FirkinError):
        code, detail = _described_firkin_error(error, operation, path)
    elif isinstance(error, OSError):
        code, detail = _described_os_error(error, operation, path)
    elif isinstance(error, DecodeError):
        code, detail = StatusCode.INVALID_ARGUMENT, ErrorDetail(code=InvalidArgument.code, errno=InvalidArgument.errno)
        detail.reason = "the bytes are not a message of this call"
    else:
        code, detail = StatusCode.INTERNAL, ErrorDetail(code=AgentError.code, errno=errno.EIO)
        detail.reason = text(f"the agent has a defect: {type(error).__name__}: {error}")
    detail.operation = detail.operation or operation
    detail.path = detail.path or text(path)
    for name, value in (subject or {}).items():
        if value and name not in detail.values:
            detail.values[name] = text(value)
    return code, detail


def _described_firkin_error(error: FirkinError, operation: str, path: str) -> tuple[StatusCode, ErrorDetail]:
    values = {
        name: text(str(getattr(error, name)))
        for name in inspect.signature(type(error).__init__).parameters
        if name not in ("self", "errno") and getattr(error, name, None) is not None
    }
    detail = ErrorDetail(
        code=error.code,
        operation=values.pop("operation", "") or error.operation or operation,
        path=values.pop("path", ""),
        errno=error.errno or errno.EIO,
        reason=values.pop("reason", text(str(error))),
        values=values,
        stage_seconds=error.stage_seconds,
        failed_stage=error.failed_stage,
    )
    for kind, status in _STATUSES:
        if isinstance(error, kind):
            return status, detail
    return _ERRNO_STATUSES.get(detail.errno, StatusCode.INTERNAL), detail


def _described_os_error(error: OSError, operation: str, path: str) -> tuple[StatusCode, ErrorDetail]:
    # What is below an open directory says less than the path that was asked for, and a descriptor's number nothing.
    named = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else ""
    if named and (not path or named.startswith("/")):
        path = named
    number = number_of(error)
    if number in (errno.ENOSPC, errno.EDQUOT):
        full = StoreFull(path)
        detail = ErrorDetail(code=full.code, path=text(path), errno=number, reason=text(str(full)))
        return StatusCode.RESOURCE_EXHAUSTED, detail
    own_words = error.strerror or str(error)
    reason = text(os.strerror(number) if error.errno == number else own_words or os.strerror(number))
    detail = ErrorDetail(code=AgentError.code, operation=operation, path=text(path), errno=number, reason=reason)
    return _ERRNO_STATUSES.get(number, StatusCode.INTERNAL), detail


def _sentence(detail: ErrorDetail) -> str:
    return str(AgentError(detail.operation, detail.reason, path=detail.path, errno=detail.errno))
