"""Streams between a virtual machine and its host over vsock (vsock(7))."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import sys
from collections.abc import Iterator

from .host_line import AGENT_PORT
from .host_ports import HOST_CID, check_answer, connected_blocking, host_address
from .host_streams import HostStreams, port_in_use
from .proxies import relay_both_ways
from .relays import Relay
from .unix_sockets import CONNECT_SECONDS, Remove, connected_socket

_BACKLOG = 128


class VsockStreams(HostStreams):
    """Connects to ports of the host that runs this machine."""

    # The machine's buffer holds only so much of a stream: the host's device sends the rest when there is room again.
    underway_seconds = 1.0

    def name(self, port: int) -> str:
        """A port of the host, for messages."""
        return f"vsock:{HOST_CID}:{port}"

    def listening(self, port: int) -> tuple[socket.socket, Remove]:
        """Listen on a port of the machine."""
        listener = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
        try:
            listener.bind((socket.VMADDR_CID_ANY, port))
            listener.listen(_BACKLOG)
        except OSError as error:
            listener.close()
            if error.errno == errno.EADDRINUSE:
                raise port_in_use(port, f"vsock:{port}") from error
            raise
        return listener, _has_no_name

    def is_host(self, peer: socket.socket) -> bool:
        """False for a process of a container that dials its own machine."""
        try:
            cid: int = peer.getpeername()[0]
        except OSError:
            return False
        return cid == HOST_CID

    async def _dialled(self, port: int) -> socket.socket:
        address, said = host_address(port)
        loop = asyncio.get_running_loop()
        peer = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
        try:
            peer.setblocking(False)
            async with asyncio.timeout(CONNECT_SECONDS):
                await loop.sock_connect(peer, address)
                if said:
                    await loop.sock_sendall(peer, said)
                    check_answer(await loop.sock_recv(peer, 1), port)
        except BaseException:
            peer.close()
            raise
        return peer

    def _dialled_blocking(self, port: int) -> socket.socket:
        return connected_blocking(port, CONNECT_SECONDS)


def _has_no_name() -> None:
    """A port is given back when its socket is closed."""


class AgentDoor:
    """Listens for the host on the agent's port, and relays each of its connections to the agent's unix socket.

    gRPC neither listens on vsock nor takes a connection that somebody else accepted.
    """

    def __init__(self, agent_socket: str) -> None:
        self._agent_socket = agent_socket
        self._loop = asyncio.get_running_loop()
        self._relays: set[Relay] = set()
        self._dialling: set[asyncio.Task[None]] = set()
        self._listener = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
        self._listener.bind((socket.VMADDR_CID_ANY, AGENT_PORT))
        self._listener.listen(_BACKLOG)
        self._listener.setblocking(False)
        self._loop.add_reader(self._listener, self._accept)

    def close(self) -> None:
        """Take no more connections, and end those that there are."""
        self._loop.remove_reader(self._listener)
        self._listener.close()
        for task in self._dialling:
            task.cancel()
        for relay in tuple(self._relays):
            relay.close()

    def _accept(self) -> None:
        try:
            near, (cid, _) = self._listener.accept()
        except OSError:
            return
        if cid != HOST_CID:
            # A process of a container that dials its own machine. Only the host commands the agent.
            near.close()
            return
        near.setblocking(False)
        task = self._loop.create_task(self._connect(near))
        self._dialling.add(task)
        task.add_done_callback(self._dialling.discard)

    async def _connect(self, near: socket.socket) -> None:
        try:
            far = await connected_socket(self._agent_socket)
        except OSError as error:
            print(f"vminitd: the agent does not take a connection: {error}", file=sys.stderr, flush=True)
            near.close()
            return
        except BaseException:
            near.close()
            raise
        relay_both_ways(near, far, self._relays)


@contextlib.contextmanager
def agent_door(agent_socket: str) -> Iterator[None]:
    """An AgentDoor for the length of a `with` block."""
    door = AgentDoor(agent_socket)
    try:
        yield
    finally:
        door.close()
