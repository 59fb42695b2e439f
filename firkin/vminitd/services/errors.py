"""The one place where the agent's errors become gRPC statuses with details."""

from __future__ import annotations

import asyncio
import errno
import inspect
import os
import sys
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from google.protobuf.any_pb2 import Any as PackedDetail
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
_SENTENCE_BYTES = 2048
_PATH_CHARACTERS = 4095  # PATH_MAX, with its NUL
_TOLD_CHARACTERS = 100


@asynccontextmanager
async def answering(context: ServicerContext[object, object], operation: str, path: str = "") -> AsyncIterator[None]:
    """Turn whatever the block raises into the call's status; a defect becomes INTERNAL and is logged."""
    try:
        refuse_impossible(path)
        yield
    except (AbortError, asyncio.CancelledError, GeneratorExit):
        raise
    except Exception as error:
        await abort(context, error, operation, path)


def refuse_impossible(path: str) -> None:
    """Refuse what cannot be the path of anything.

    Raises:
        PathRefused, OSError: it has a NUL, or is longer than any path.
    """
    if "\0" in path:
        raise PathRefused(path, "it contains NUL")
    if len(path) > _PATH_CHARACTERS:
        raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), f"{path[:_TOLD_CHARACTERS]}...")


async def abort(context: ServicerContext[object, object], error: Exception, operation: str, path: str = "") -> None:
    """End the call with the status and the details of `error`."""
    code, detail = described(error, operation, path)
    told = _shortened(f"vminitd: {operation} {path[:_TOLD_CHARACTERS]} failed: {error!r}").replace("\n", "\\n")
    print(told, file=sys.stderr, flush=True)
    if code is StatusCode.INTERNAL and not isinstance(error, FirkinError | OSError):
        traceback.print_exception(error, file=sys.stderr)
    message = _shortened(str(error) if isinstance(error, FirkinError) else _sentence(detail))
    await context.abort(code, message, (("grpc-status-details-bin", _packed_status(code, message, detail)),))


def described(error: Exception, operation: str, path: str = "") -> tuple[StatusCode, ErrorDetail]:
    """The status and the details of an error."""
    if isinstance(error, FirkinError):
        return _described_firkin_error(error, operation, path)
    if isinstance(error, OSError):
        return _described_os_error(error, operation, path)
    if isinstance(error, DecodeError):
        reason = "the bytes are not a message of this call"
        return StatusCode.INVALID_ARGUMENT, ErrorDetail(code=InvalidArgument.code, operation=operation, reason=reason)
    reason = f"the agent has a defect: {type(error).__name__}: {_shortened(str(error))}"
    return StatusCode.INTERNAL, ErrorDetail(code=AgentError.code, operation=operation, path=path, reason=reason)


def _described_firkin_error(error: FirkinError, operation: str, path: str) -> tuple[StatusCode, ErrorDetail]:
    values = {
        name: _shortened(str(getattr(error, name)))
        for name in inspect.signature(type(error).__init__).parameters
        if name != "self" and getattr(error, name, None) is not None
    }
    detail = ErrorDetail(
        code=error.code,
        operation=values.pop("operation", "") or error.operation or operation,
        path=values.pop("path", path),
        errno=int(values.pop("errno", "0")),
        reason=values.pop("reason", _shortened(str(error))),
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
        path = _shortened(named)
    number = error.errno or 0
    if number in (errno.ENOSPC, errno.EDQUOT):
        full = StoreFull(path)
        detail = ErrorDetail(code=full.code, operation=operation, path=path, errno=number, reason=str(full))
        return StatusCode.RESOURCE_EXHAUSTED, detail
    reason = os.strerror(number) if number else _shortened(str(error))
    detail = ErrorDetail(code=AgentError.code, operation=operation, path=path, errno=number, reason=reason)
    return _ERRNO_STATUSES.get(number, StatusCode.INTERNAL), detail


def _sentence(detail: ErrorDetail) -> str:
    return str(AgentError(detail.operation, detail.reason, path=detail.path, errno=detail.errno))


def _packed_status(code: StatusCode, message: str, detail: ErrorDetail) -> bytes:
    # Imported at the first failure: an agent that only succeeds starts without it.
    from google.rpc.status_pb2 import Status

    packed = PackedDetail()
    packed.Pack(detail)
    number: int = code.value[0]
    return Status(code=number, message=message, details=[packed]).SerializeToString()


def _shortened(text: str) -> str:
    # Headers of HTTP/2 are limited, and messages are UTF-8, which names of files need not be: neither must make the
    # whole answer undeliverable.
    data = text.encode("utf-8", "backslashreplace")
    return data[:_SENTENCE_BYTES].decode("utf-8", "ignore") + ("..." if len(data) > _SENTENCE_BYTES else "")
