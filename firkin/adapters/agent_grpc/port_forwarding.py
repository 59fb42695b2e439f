"""A TCP port of the host whose connections go, each over a stream of its own, to a port inside the sandbox."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import select
import socket
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

from firkin.application.task_scope import TaskScope, finished
from firkin.domain.errors import FirkinError, HostPortUnavailable, Outcome
from firkin.domain.port_forwards import PortForward
from firkin.wire import sandbox_context_pb2 as wire

from .session import AgentSession

if TYPE_CHECKING:
    from firkin.wire.sandbox_context_pb2_grpc import SandboxContextAsyncStub

_OPERATION = "forward port"
_BACKLOG = 256
_CHUNK_BYTES = 128 * 1024
# Two descriptors and two buffers each; more wait in the listener's queue.
_CONNECTIONS = 512
_SHORT_OF_DESCRIPTORS_SECONDS = 0.1
_QUEUE_FULL_SECONDS = 0.005


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
        guest_port = session.guest_ports.allocate()
        stack.callback(session.guest_ports.release, guest_port)
        proxy_id = f"forward-{guest_port}"
        await session.sandbox.expose_guest_port(guest_port)
        stack.push_async_callback(_stopped_proxy, session, stub, proxy_id)
        request = wire.ProxyVsockRequest(
            id=proxy_id,
            vsock_port=guest_port,
            guestPath=f"tcp:{forward.container_port}",
            action=wire.ProxyVsockRequest.OUT_OF,
        )
        await session.answer(stub.ProxyVsock, request, _OPERATION)
        scope = TaskScope()
        stack.push_async_callback(scope.aclose)
        scope.start(_accepting(listener, session.guest_socket(guest_port), scope), f"forward {forward}")
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


async def _stopped_proxy(session: AgentSession, stub: SandboxContextAsyncStub, proxy_id: str) -> None:
    """Also of a call whose answer never came; in a sandbox that has died there is nothing to stop."""
    request = wire.StopVsockProxyRequest(id=proxy_id)
    stopping = session.scope.start(session.answer(stub.StopVsockProxy, request, _OPERATION), _OPERATION)
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
        if not await _connected(far, guest_socket):
            return
        async with asyncio.TaskGroup() as group:
            outward = group.create_task(_relayed(near, far))
            moved = await _relayed(far, near)
            if not moved and _has_hung_up(far):
                # The agent could not connect: nobody waits for what the caller may still send.
                outward.cancel()


async def _connected(far: socket.socket, guest_socket: str) -> bool:
    """Connect to the agent's proxy; False when it listens no more."""
    # A unix socket never connects "in progress": EAGAIN means that the listener's queue is full just now.
    while True:
        status = far.connect_ex(guest_socket)
        if status != errno.EAGAIN:
            return status == 0
        await asyncio.sleep(_QUEUE_FULL_SECONDS)


async def _relayed(source: socket.socket, sink: socket.socket) -> int:
    """Hand everything on until the source ends or the sink breaks, then tell the sink; returns the bytes."""
    loop = asyncio.get_running_loop()
    buffer = memoryview(bytearray(_CHUNK_BYTES))
    moved = 0
    with contextlib.suppress(OSError):
        while count := await loop.sock_recv_into(source, buffer):
            await loop.sock_sendall(sink, buffer[:count])
            moved += count
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
    return moved


def _has_hung_up(peer: socket.socket) -> bool:
    poller = select.poll()
    poller.register(peer, 0)
    return any(events & select.POLLHUP for _, events in poller.poll(0))
