"""Requests that are no messages: gRPC would answer them itself, with a status that tells nothing."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from .errors import abort

if TYPE_CHECKING:
    _Handler = grpc.RpcMethodHandler[Any, Any]


class DecodingInterceptor(grpc.aio.ServerInterceptor):
    """Decodes the requests of calls that have a single one, in gRPC's place; streams are decoded as they are read."""

    def __init__(self) -> None:
        self._by_method: dict[str, _Handler] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[_Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> _Handler | None:
        """The handler of a call, which tells of bytes that are no message as of any other invalid argument."""
        method = handler_call_details.method
        if method not in self._by_method:
            handler = await continuation(handler_call_details)
            if handler is None or handler.request_streaming or handler.request_deserializer is None:
                return handler
            self._by_method[method] = _decoding(handler, f"read the request of {method.rpartition('/')[2]}")
        return self._by_method[method]


def _decoding(handler: _Handler, operation: str) -> _Handler:
    decode: Any = handler.request_deserializer
    answer: Any = handler.unary_stream if handler.response_streaming else handler.unary_unary

    async def decoded(data: bytes, context: Any) -> Any:
        try:
            return decode(data)
        except DecodeError as error:
            await abort(context, error, operation)

    async def answered(data: bytes, context: Any) -> Any:
        return await answer(await decoded(data, context), context)

    async def answered_by_many(data: bytes, context: Any) -> AsyncIterator[Any]:
        async with contextlib.aclosing(answer(await decoded(data, context), context)) as messages:
            async for message in messages:
                yield message

    if handler.response_streaming:
        return grpc.unary_stream_rpc_method_handler(answered_by_many, None, handler.response_serializer)
    return grpc.unary_unary_rpc_method_handler(answered, None, handler.response_serializer)
