"""An agent that a test writes: real gRPC on a real unix socket, in the test's own loop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path

import grpc.aio
from google.protobuf.any_pb2 import Any as PackedDetail
from google.protobuf.message import Message
from google.rpc.status_pb2 import Status
from grpc import GenericRpcHandler, HandlerCallDetails, RpcMethodHandler, StatusCode

from firkin.adapters.agent_grpc import GrpcAgentConnector
from firkin.domain.layout import POD_STORE_MOUNT
from firkin.domain.mounts import Mount
from firkin.domain.reports import SandboxExit, SandboxState
from firkin.ports.agent import Agent
from firkin.wire import agent_pb2 as wire

Context = grpc.aio.ServicerContext[bytes, bytes]
Answer = Callable[[bytes, Context], Awaitable[Message]]
Stream = Callable[[bytes, Context], AsyncIterator[Message]]

_AGENT = "/firkin.agent.v1.Agent/"
_SANDBOX_CONTEXT = "/com.apple.containerization.sandbox.v3.SandboxContext/"


class FakeSandbox:
    """A sandbox of which only the sockets exist; a test lets it die."""

    def __init__(self, socket_directory: Path, takes_files: bool = False) -> None:
        self._socket_directory = socket_directory
        self.takes_files = takes_files
        self._ended: asyncio.Future[SandboxExit] = asyncio.get_running_loop().create_future()

    @property
    def id(self) -> str:
        return "fake"

    @property
    def socket_directory(self) -> Path:
        return self._socket_directory

    @property
    def store_mount(self) -> Mount:
        return Mount.bind("/store", POD_STORE_MOUNT)

    async def expose_guest_port(self, port: int) -> None: ...

    async def wait_ended(self) -> SandboxExit:
        return await asyncio.shield(self._ended)

    async def stop(self, grace_seconds: float) -> SandboxExit:
        self.die("stopped")
        return self._ended.result()

    def die(self, reason: str, console_tail: str = "", phase: str = "", exit_status: int | None = None) -> None:
        if not self._ended.done():
            self._ended.set_result(SandboxExit(reason, console_tail, phase, exit_status))


class PausedSandbox(FakeSandbox):
    """A sandbox that tells how it is: somebody has paused it."""

    async def state(self) -> SandboxState:
        return SandboxState("its machine is paused in the phase 'running'", "the last line", "running")


class ScriptedAgent(GenericRpcHandler):
    """Answers what a test scripted, by RPC name (`StartContainer`, or `SandboxContext/Mount`).

    Attributes:
        called: the names of the calls so far, in order.
    """

    def __init__(self, directory: Path, knows_agent_v1: bool = True) -> None:
        self.called: list[str] = []
        self._directory = directory
        self._answers: dict[str, Answer] = {}
        self._streams: dict[str, Stream] = {}
        if knows_agent_v1:
            self.answer("GetInfo", wire.GetInfoResponse(version="scripted"))

    def on(self, name: str, answer: Answer) -> None:
        """Let a coroutine answer the RPC."""
        self._answers[name] = answer

    def on_stream(self, name: str, stream: Stream) -> None:
        """Let an asynchronous generator answer the RPC."""
        self._streams[name] = stream

    def answer(self, name: str, message: Message) -> None:
        """Answer the RPC always alike."""

        async def always(_: bytes, __: Context) -> Message:
            return message

        self.on(name, always)

    def fail(self, name: str, status: StatusCode, sentence: str = "", detail: wire.ErrorDetail | None = None) -> None:
        """Let the RPC fail."""

        async def fails(_: bytes, context: Context) -> Message:
            return await aborted(context, status, sentence, detail)

        self.on(name, fails)

    def hang(self, name: str) -> asyncio.Event:
        """Let the RPC never answer; the event tells that it was called."""
        reached = asyncio.Event()

        async def hangs(_: bytes, __: Context) -> Message:
            reached.set()
            await asyncio.Event().wait()
            return wire.GetInfoResponse()

        self.on(name, hangs)
        return reached

    def service(self, handler_call_details: HandlerCallDetails) -> RpcMethodHandler[bytes, bytes] | None:
        method = handler_call_details.method
        name = method.removeprefix(_AGENT).replace(_SANDBOX_CONTEXT, "SandboxContext/")
        answer, stream = self._answers.get(name), self._streams.get(name)
        if answer is not None:

            async def call(request: bytes, context: Context) -> bytes:
                self.called.append(name)
                return (await answer(request, context)).SerializeToString()

            return grpc.unary_unary_rpc_method_handler(call)
        if stream is None:
            return None

        async def calls(request: bytes, context: Context) -> AsyncIterator[bytes]:
            self.called.append(name)
            async for message in stream(request, context):
                yield message.SerializeToString()

        return grpc.unary_stream_rpc_method_handler(calls)

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[grpc.aio.Server]:
        """Serve on `guest-1024.sock`."""
        server = grpc.aio.server()
        server.add_generic_rpc_handlers((self,))
        server.add_insecure_port(f"unix:{self._directory / 'guest-1024.sock'}")
        await server.start()
        try:
            yield server
        finally:
            await server.stop(None)

    async def connect(self, stream: wire.BulkStream, token: bytes | None = None) -> socket.socket:
        """Open a bulk stream as a guest does."""
        return await connected_guest(self._directory, stream.port, stream.token if token is None else token)


async def connected_guest(directory: Path, port: int, token: bytes) -> socket.socket:
    """The guest's end of a bulk stream, non-blocking."""
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    peer.setblocking(False)
    try:
        peer.connect(str(directory / f"host-{port}.sock"))
        await asyncio.get_running_loop().sock_sendall(peer, token)
    except BaseException:
        peer.close()
        raise
    return peer


async def aborted(
    context: Context, status: StatusCode, sentence: str = "", detail: wire.ErrorDetail | None = None
) -> Message:
    """End a call with a status, and with details when there are any."""
    metadata: tuple[tuple[str, bytes], ...] = ()
    if detail is not None:
        packed = PackedDetail()
        packed.Pack(detail)
        number: int = status.value[0]
        whole = Status(code=number, message=sentence, details=[packed])
        metadata = (("grpc-status-details-bin", whole.SerializeToString()),)
    await context.abort(status, sentence, metadata)


class Connected:
    """What most tests need: a scripted agent, its sandbox, and the client under test."""

    def __init__(self, script: ScriptedAgent, sandbox: FakeSandbox, agent: Agent, server: grpc.aio.Server) -> None:
        self.script = script
        self.sandbox = sandbox
        self.agent = agent
        self.server = server


@contextlib.asynccontextmanager
async def scripted(
    directory: Path,
    deadline_seconds: float = 30.0,
    stall_seconds: float = 30.0,
    knows_agent_v1: bool = True,
    answers: Mapping[str, Message] | None = None,
    takes_files: bool = False,
    tells_state: bool = False,
    layer_limits: Mapping[str, int] = {},
) -> AsyncIterator[Connected]:
    """A client that is connected to a scripted agent."""
    script = ScriptedAgent(directory, knows_agent_v1)
    for name, message in (answers or {}).items():
        script.answer(name, message)
    sandbox = (PausedSandbox if tells_state else FakeSandbox)(directory, takes_files)
    connector = GrpcAgentConnector(deadline_seconds, stall_seconds, layer_limits=layer_limits)
    async with script.listening() as server, connector.connected(sandbox, 60) as agent:
        yield Connected(script, sandbox, agent, server)
