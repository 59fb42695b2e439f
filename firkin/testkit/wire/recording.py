"""Standing between a host and an agent, and writing down what they say."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from firkin.ports.agent import Agent
from firkin.ports.agent_connector import AgentConnector
from firkin.ports.sandbox import Sandbox

from ..faults.connection import socket_taken_aside
from .transcript import CallRecord, Transcript

_NO_LIMIT = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))


LEFT = "left by the host"
"""How a call ended whose host had what it wanted, or gave it up."""


class RecordingConnector:
    """A connector whose sessions are written into a transcript; messages pass as they are."""

    def __init__(self, connector: AgentConnector, transcript: Transcript) -> None:
        self._connector = connector
        self._transcript = transcript

    @contextlib.asynccontextmanager
    async def connected(self, sandbox: Sandbox, timeout_seconds: float) -> AsyncIterator[Agent]:
        """Take the agent's socket aside, answer in its place, and let the connector connect."""
        public, aside = await socket_taken_aside(sandbox.socket_directory, timeout_seconds)
        async with (
            recording(public, aside, self._transcript),
            self._connector.connected(sandbox, timeout_seconds) as agent,
        ):
            yield agent


@contextlib.asynccontextmanager
async def recording(public: Path, agent: Path, transcript: Transcript) -> AsyncIterator[None]:
    """Listen on `public` and pass every call on to the agent that listens on `agent`."""
    async with grpc.aio.insecure_channel(f"unix:{agent}", _NO_LIMIT) as channel:
        server = grpc.aio.server(options=_NO_LIMIT)
        server.add_generic_rpc_handlers((_PassingHandler(channel, transcript),))
        server.add_insecure_port(f"unix:{public}")
        await server.start()
        try:
            yield
        finally:
            await server.stop(None)


class _PassingHandler(grpc.GenericRpcHandler):
    """Takes every call for one with streams both ways, which on the wire each of them is."""

    def __init__(self, channel: grpc.aio.Channel, transcript: Transcript) -> None:
        self._channel = channel
        self._transcript = transcript

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        method = handler_call_details.method

        async def passed(requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
            record = self._transcript.begin(method)
            calling: Any = self._channel.stream_stream(method)
            call = calling(self._requests(record, requests))
            try:
                async for answer in call:
                    self._transcript.received(record, answer)
                    yield answer
                trailing = await call.trailing_metadata()
                record.status = "OK"
            except (asyncio.CancelledError, GeneratorExit):
                record.status = record.status or LEFT
                raise
            except grpc.aio.AioRpcError as error:
                record.status = f"{error.code().name}: {error.details()}"
                await context.abort(error.code(), error.details() or "", tuple(error.trailing_metadata() or ()))
            context.set_trailing_metadata(tuple(trailing))

        return grpc.stream_stream_rpc_method_handler(passed)

    async def _requests(self, record: CallRecord, requests: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for request in requests:
            self._transcript.sent(record, request)
            yield request
