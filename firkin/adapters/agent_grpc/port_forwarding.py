"""A TCP port of the host whose connections go, each over a stream of its own, to a port inside the sandbox."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

from firkin.application.task_scope import TaskScope, finished
from firkin.domain.errors import FirkinError, HostPortUnavailable, Outcome
from firkin.domain.port_forwards import PortForward
from firkin.host_side.socket_relay import connected, has_hung_up, relayed
from firkin.wire import sandbox_context_pb2 as wire

from .errors import CallKind
from .session import AgentSession

if TYPE_CHECKING:
    from firkin.wire.sandbox_context_pb2_grpc import SandboxContextAsyncStub

_OPERATION = "forward port"
_BACKLOG = 256
# Two descriptors and two buffers each; more wait in the listener's queue.
_CONNECTIONS = 512
_SHORT_OF_DESCRIPTORS_SECONDS = 0.1


@contextlib.asynccontextmanager
async def forwarded(
    session: AgentSession, stub: SandboxContextAsyncStub, forward: PortForward
) -> AsyncIterator[PortForward]:
    """Listen on the host, and let the agent hand each connection on; leaving ends both and every connection.

    Raises:
        HostPortUnavailable: the host does not let the port be listened on.
    """
    async with contextlib.AsyncExitStack() as stack:
        listener = stack.enter_context(_listening(forward))
        kind = session.call_kind(_OPERATION)
        target = f"tcp:{forward.container_port}"
        path = await stack.enter_async_context(proxied(session, stub, target, kind, "forward"))
        scope = TaskScope()
        stack.push_async_callback(scope.aclose)
        scope.start(_accepting(listener, path, scope), f"forward {forward}")
        address, port = listener.getsockname()[:2]
        yield PortForward(forward.container_port, port, address)


@contextlib.contextmanager
def _listening(forward: PortForward) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in forward.host_address else socket.AF_INET
    try:
        listener = socket.create_server(
            (forward.host_address, forward.host_port), family=family, backlog=_BACKLOG, dualstack_ipv6=False
        )
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        unavailable = HostPortUnavailable(forward.host_address, forward.host_port, reason)
        raise unavailable.during(_OPERATION, outcome=Outcome.DID_NOT) from error
    with listener:
        listener.setblocking(False)
        yield listener


@contextlib.asynccontextmanager
async def proxied(
    session: AgentSession, stub: SandboxContextAsyncStub, target: str, kind: CallKind, purpose: str
) -> AsyncIterator[str]:
    """Have the agent connect whoever connects to a socket, whose path this gives, with `target` in the sandbox."""
    async with contextlib.AsyncExitStack() as stack:
        guest_port = session.guest_ports.allocate()
        stack.callback(session.guest_ports.release, guest_port)
        proxy_id = f"{purpose}-{guest_port}"
        await session.sandbox.expose_guest_port(guest_port)
        stack.push_async_callback(_stopped_proxy, session, stub, proxy_id, kind.operation)
        request = wire.ProxyVsockRequest(
            id=proxy_id, vsock_port=guest_port, guestPath=target, action=wire.ProxyVsockRequest.OUT_OF
        )
        async with session.guarded(kind):
            await stub.ProxyVsock(request, timeout=kind.deadline_seconds)
        yield session.guest_socket(guest_port)


async def _stopped_proxy(session: AgentSession, stub: SandboxContextAsyncStub, proxy_id: str, operation: str) -> None:
    """Also of a call whose answer never came; in a sandbox that has died there is nothing to stop."""
    request = wire.StopVsockProxyRequest(id=proxy_id)
    stopping = session.scope.start(session.answer(stub.StopVsockProxy, request, operation), operation)
    with contextlib.suppress(FirkinError):
        await finished(stopping)


async def _accepting(listener: socket.socket, guest_socket: str, scope: TaskScope) -> None:
    loop = asyncio.get_running_loop()
    turns = asyncio.Semaphore(_CONNECTIONS)
    while True:
        await turns.acquire()
        try:
            near, _ = await loop.sock_accept(listener)
        except OSError:
            # Out of descriptors, for example, or the caller has gone already: listening on would only spin.
            turns.release()
            await asyncio.sleep(_SHORT_OF_DESCRIPTORS_SECONDS)
            continue
        connection = scope.start(_connection(near, guest_socket), "forwarded connection")
        connection.add_done_callback(lambda _: turns.release())


async def _connection(near: socket.socket, guest_socket: str) -> None:
    with near, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as far:
        near.setblocking(False)
        near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not await connected(far, guest_socket):
            return
        async with asyncio.TaskGroup() as group:
            outward = group.create_task(relayed(near, far))
            moved = await relayed(far, near)
            if not moved and has_hung_up(far):
                # The agent could not connect: nobody waits for what the caller may still send.
                outward.cancel()
