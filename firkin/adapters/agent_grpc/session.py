"""One connection with the agent of one sandbox, and everything that was opened over it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Self, TypeVar

from grpc import StatusCode
from grpc.aio import AioRpcError, Channel, UnaryUnaryMultiCallable, insecure_channel

from firkin.application.task_scope import TaskScope, finished
from firkin.domain.errors import AgentUnreachable, FirkinError, NoAnswer, Outcome, SandboxDied
from firkin.domain.process import StdioOptions
from firkin.domain.reports import SandboxState
from firkin.ports.sandbox import Sandbox, TakesFiles, TellsState

from .bulk_listener import FIRST_GUEST_PORT, BulkListener, PortAllocator, SocketDirectory
from .death_watch import DeathWatch
from .errors import CallKind, deadline_exceeded, error_detail, translated
from .liveness import Liveness
from .process_streams import StdioListeners, StreamTable
from .released_calls import ReleasedCalls

AGENT_SOCKET = "guest-1024.sock"
_GET_INFO = "/firkin.agent.v1.Agent/GetInfo"

# The connection of a dying sandbox goes down first; its end is reported within this time, also on a busy host.
_DEATH_REPORT_SECONDS = 5.0
# The guest connects before its call returns, so what is missing then is on its way.
_ACCEPT_SECONDS = 10.0
_UNDO_SECONDS = 10.0
_CONCURRENT_COPIES = 4
_CHANNEL_OPTIONS = (
    # A channel's own connections: the state of an attempt that failed must not slow the next channel down.
    ("grpc.use_local_subchannel_pool", 1),
    # A call is never sent twice behind the caller's back: `outcome` has to be true.
    ("grpc.enable_retries", 0),
    ("grpc.enable_http_proxy", 0),
)

Q = TypeVar("Q")
R = TypeVar("R")


class AgentSession:
    """Calls with deadlines, raced against the sandbox's death; streams, tasks and descriptors with an owner.

    Attributes:
        scope: owns the tasks that run beside a call.
        streams: the open streams of processes.
        stall_seconds: how long a materialisation may make no progress.
        layer_limits: what layers may amount to, where it is not to be as the agent has it.
        copy_turns: bounds the copies under way, each of which holds a thread at both ends.
        sandbox: the agent's.
        guest_ports: numbers of ports that the guest is to listen on for the host.
    """

    def __init__(
        self, sandbox: Sandbox, deadline_seconds: float, stall_seconds: float, layer_limits: Mapping[str, int] = {}
    ) -> None:
        self.stall_seconds = stall_seconds
        self.layer_limits = layer_limits
        self.scope = TaskScope()
        self.streams = StreamTable()
        self._deadline_seconds = deadline_seconds
        self.copy_turns = asyncio.Semaphore(_CONCURRENT_COPIES)
        self.sandbox = sandbox
        self.guest_ports = PortAllocator(FIRST_GUEST_PORT)
        self._death = DeathWatch(sandbox)
        self._ports = PortAllocator()
        self._directory = SocketDirectory(sandbox.socket_directory)
        self._channel = self._dialled()
        self._liveness = Liveness(self._answers, self.scope, deadline_seconds)

    @property
    def channel(self) -> Channel:
        """The one channel of the sandbox."""
        return self._channel

    @property
    def takes_files(self) -> bool:
        """Whether a stream of the sandbox takes a whole file (see TakesFiles)."""
        return isinstance(self.sandbox, TakesFiles) and self.sandbox.takes_files

    @property
    def has_agent_socket(self) -> bool:
        """Whether the agent's socket file has appeared."""
        return self._directory.has(AGENT_SOCKET)

    def guest_socket(self, guest_port: int) -> str:
        """Where the host connects to a port of the guest; valid while the session is open."""
        return self._directory.socket_path(f"guest-{guest_port}.sock")

    async def redial(self) -> None:
        """Start over with a new channel: gRPC waits longer and longer between attempts of its own."""
        await self._channel.close()
        self._channel = self._dialled()

    def _dialled(self) -> Channel:
        return insecure_channel(f"unix:{self._directory.socket_path(AGENT_SOCKET)}", options=_CHANNEL_OPTIONS)

    async def __aenter__(self) -> Self:
        self.scope.start(self._death.watch(), "watch for the sandbox's end")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await finished(TaskScope().start(self._close(), "close the agent's connection"))

    async def _close(self) -> None:
        self._death.close()
        try:
            await self.scope.aclose()
            await self.streams.aclose()
            await self._channel.close()
        finally:
            self._directory.close()

    def call_kind(self, operation: str, *, changes: bool = True, extra_seconds: float = 0.0) -> CallKind:
        """A call with the ordinary deadline, and `extra_seconds` for what it carries."""
        return CallKind(operation, self._deadline_seconds + extra_seconds, changes)

    async def answer(
        self, method: UnaryUnaryMultiCallable[Q, R], request: Q, operation: str, *, changes: bool = True
    ) -> R:
        """Make one call within the ordinary deadline.

        Raises:
            FirkinError: what the agent said, or AgentUnreachable, DeadlineExceeded, SandboxDied.
        """
        kind = self.call_kind(operation, changes=changes)
        async with self.guarded(kind):
            return await method(request, timeout=kind.deadline_seconds)

    def guarded(self, kind: CallKind) -> AbstractAsyncContextManager[None]:
        """Race the body against the sandbox's death and the agent's silence, and translate what gRPC raises in it."""
        return ReleasedCalls(self._guarded(kind))

    @contextlib.asynccontextmanager
    async def _guarded(self, kind: CallKind) -> AsyncIterator[None]:
        try:
            with self._death.raced(kind.operation, kind.interrupted_outcome) as race:
                await self._liveness.expected(kind.operation)
                async with self._liveness.watched(kind, race):
                    yield
        except AioRpcError as error:
            raise await self._seen(await self._failure(error, kind)) from error
        except NoAnswer as error:
            await self._seen(error)
            raise
        self._liveness.heard()

    async def late(self, kind: CallKind) -> FirkinError:
        """The error for a call that took too long."""
        return await self._seen(deadline_exceeded(kind))

    async def sandbox_state(self) -> SandboxState | None:
        """How the sandbox is by what its host sees, None when it does not tell."""
        return await self.sandbox.state() if isinstance(self.sandbox, TellsState) else None

    async def _seen(self, error: FirkinError) -> FirkinError:
        """The error; when it is of an agent that did not answer, with how its sandbox is."""
        if not isinstance(error, NoAnswer) or self._death.is_closed:
            return error
        state = await self.sandbox_state()
        return error if state is None else error.seen(state.condition, state.console_tail, state.phase)

    async def _answers(self, seconds: float) -> bool:
        """Whether the agent answers at all within `seconds`, be it that it does not know the question."""
        ask: UnaryUnaryMultiCallable[bytes, bytes] = self._channel.unary_unary(_GET_INFO)
        try:
            await ask(b"", timeout=seconds)
        except AioRpcError as error:
            return error.code() is not StatusCode.DEADLINE_EXCEEDED
        return True

    async def _failure(self, error: AioRpcError, kind: CallKind) -> FirkinError:
        if error.code() is StatusCode.DEADLINE_EXCEEDED:
            self._liveness.missed()
        if error.code() is StatusCode.UNAVAILABLE and error_detail(error) is None:
            await self._death.confirmed_within(_DEATH_REPORT_SECONDS)
            unreachable = translated(error, kind)
            return self._death.error(kind.operation, unreachable.outcome or kind.interrupted_outcome) or unreachable
        return translated(error, kind)

    def listen(self, with_token: bool) -> BulkListener:
        """Listen for one stream."""
        return BulkListener(self._directory, self._ports, with_token)

    def stdio_listeners(self, options: StdioOptions, with_tokens: bool) -> StdioListeners:
        """Listen for the standard streams that the host wants; a context manager."""
        return StdioListeners(options, lambda: self.listen(with_tokens))

    async def connections(self, listeners: StdioListeners, operation: str) -> Mapping[str, socket.socket]:
        """The streams that the guest opened during a call that has succeeded.

        Raises:
            DeadlineExceeded, SandboxDied: not all of them came.
        """
        try:
            with self._death.raced(operation, Outcome.MAY_HAVE):
                return await listeners.connections(operation, _ACCEPT_SECONDS)
        except NoAnswer as error:
            await self._seen(error)
            raise

    @contextlib.asynccontextmanager
    async def undoing(self, undo: Callable[[], Awaitable[object]], unless_refused: bool = True) -> AsyncIterator[None]:
        """Run `undo` when the body is cancelled or fails, in bounded time and whatever cancellations come.

        With `unless_refused` nothing is undone when the agent said that nothing happened. Nothing is undone in
        a sandbox that has died either. What goes wrong is noted on the error that goes on.
        """
        try:
            yield
        except (SandboxDied, AgentUnreachable):
            raise
        except BaseException as error:
            if not (unless_refused and isinstance(error, FirkinError) and error.outcome is Outcome.DID_NOT):
                await finished(self.scope.start(_bounded(undo, error), "undo what may have begun"))
            raise


async def _bounded(undo: Callable[[], Awaitable[object]], error: BaseException) -> None:
    try:
        async with asyncio.timeout(_UNDO_SECONDS):
            await undo()
    except (FirkinError, TimeoutError) as failure:
        error.add_note(f"what had begun could not be undone: {failure or 'it took too long'}")
