"""The sandbox's directory of unix sockets for a guest whose vsock device is the host kernel's.

    host program connects to   guest-1024.sock    ->  the guest's port 1024
    guest connects to port 7   by one shared port of the host  ->  host-7.sock

Ports of the host's kernel belong to all of its machines together. So each machine gets one of them, told on its
kernel's command line, and its guest says first which port it wants (`firkin.vminitd.host_ports`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Protocol

from firkin.application.task_scope import TaskScope
from firkin.domain.errors import BootFailed
from firkin.host_side.socket_relay import connected, has_hung_up, relayed

_WANTED = struct.Struct("<I")
_CONNECTED, _REFUSED = b"\0", b"\1"
_BACKLOG = 128
# Two descriptors and two buffers each; more wait in the listeners' queues.
_STREAMS = 512
_PREAMBLE_SECONDS = 10.0
_CONNECT_SECONDS = 10.0
_SHORT_OF_DESCRIPTORS_SECONDS = 0.1


class GuestDoor(Protocol):
    """How the host's side reaches one guest, and is reached by it.

    Attributes:
        listener: where the guest connects; non-blocking, and the bridge's to close.
        host_port: the port that it listens on, for the guest.
    """

    listener: socket.socket
    host_port: int

    def is_guest(self, peer: socket.socket) -> bool:
        """Whether a connection comes from this guest, and not from another machine."""
        ...

    async def dialled(self, guest_port: int) -> socket.socket:
        """A non-blocking connection to a port of the guest; OSError when nobody listens there."""
        ...


class VsockDoor:
    """Keeps GuestDoor with sockets of the host's kernel (vsock(7))."""

    def __init__(self, guest_cid: int) -> None:
        """Listen on a free port.

        Raises:
            BootFailed: the kernel has none to give.
        """
        self._guest_cid = guest_cid
        self.listener = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            self.listener.bind((socket.VMADDR_CID_ANY, socket.VMADDR_PORT_ANY))
            self.listener.listen(_BACKLOG)
        except OSError as error:
            self.listener.close()
            raise BootFailed("listen for the guest", f"vsock: {error.strerror}") from error
        self.host_port: int = self.listener.getsockname()[1]

    def is_guest(self, peer: socket.socket) -> bool:
        """By the address, which the kernel vouches for."""
        try:
            cid: int = peer.getpeername()[0]
        except OSError:
            return False
        return cid == self._guest_cid

    async def dialled(self, guest_port: int) -> socket.socket:
        """Connect from the host."""
        peer = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            await asyncio.get_running_loop().sock_connect(peer, (self._guest_cid, guest_port))
        except BaseException:
            peer.close()
            raise
        return peer


class VhostBridge:
    """Relays every stream of one machine; `aclose` ends them all, and must be called."""

    def __init__(self, directory: Path, door: GuestDoor) -> None:
        """Begin to take what the guest connects to."""
        self._directory = directory
        self._door = door
        self._scope = TaskScope()
        self._turns = asyncio.Semaphore(_STREAMS)
        self._listeners: dict[Path, socket.socket] = {}
        self._scope.start(self._accepting(door.listener, self._from_guest), "take connections of the guest")

    def listen(self, guest_port: int) -> None:
        """Make `guest-<port>.sock`, through which the host reaches the guest's port.

        Raises:
            OSError: the socket cannot be made.
        """
        path = self._directory / f"guest-{guest_port}.sock"
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            listener.bind(os.fspath(path))
            listener.listen(_BACKLOG)
        except BaseException:
            listener.close()
            raise
        self._listeners[path] = listener

        async def to_guest(near: socket.socket) -> None:
            await self._to_guest(near, guest_port)

        self._scope.start(self._accepting(listener, to_guest), f"take connections to port {guest_port}")

    async def aclose(self) -> None:
        """End every stream, and listen no more; twice is fine."""
        await self._scope.aclose()
        self._door.listener.close()
        for path, listener in self._listeners.items():
            listener.close()
            path.unlink(missing_ok=True)
        self._listeners.clear()

    async def _accepting(self, listener: socket.socket, serve: Callable[[socket.socket], Awaitable[None]]) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._turns.acquire()
            try:
                near, _ = await loop.sock_accept(listener)
            except OSError:
                # Out of descriptors, for example: listening on would only spin.
                self._turns.release()
                await asyncio.sleep(_SHORT_OF_DESCRIPTORS_SECONDS)
                continue
            except BaseException:
                self._turns.release()
                raise
            serving = self._scope.start(_served(near, serve), "stream of the guest")
            serving.add_done_callback(lambda _: self._turns.release())

    async def _to_guest(self, near: socket.socket, guest_port: int) -> None:
        async with asyncio.timeout(_CONNECT_SECONDS):
            far = await self._door.dialled(guest_port)
        with far:
            await _joined(near, far)

    async def _from_guest(self, near: socket.socket) -> None:
        if not self._door.is_guest(near):
            return
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as far:
            async with asyncio.timeout(_PREAMBLE_SECONDS):
                port = await _wanted_port(near)
                is_connected = port is not None and await connected(far, f"{self._directory}/host-{port}.sock")
                await loop.sock_sendall(near, _CONNECTED if is_connected else _REFUSED)
            if is_connected:
                await _joined(near, far)


async def _served(near: socket.socket, serve: Callable[[socket.socket], Awaitable[None]]) -> None:
    # Whoever is refused, or too slow, finds the stream closed.
    with near, contextlib.suppress(OSError, TimeoutError):
        await serve(near)


async def _wanted_port(near: socket.socket) -> int | None:
    """What the guest says first; None when it hangs up before that."""
    said = b""
    while len(said) < _WANTED.size:
        part = await asyncio.get_running_loop().sock_recv(near, _WANTED.size - len(said))
        if not part:
            return None
        said += part
    port: int = _WANTED.unpack(said)[0]
    return port


async def _joined(near: socket.socket, far: socket.socket) -> None:
    """Relay both ways until both have ended, or one side has gone altogether."""
    async with asyncio.TaskGroup() as group:
        outward = group.create_task(relayed(near, far))
        inward = group.create_task(relayed(far, near))
        inward.add_done_callback(partial(_cancel_if_gone, far, outward))
        outward.add_done_callback(partial(_cancel_if_gone, near, inward))


def _cancel_if_gone(side: socket.socket, other: asyncio.Task[int], _: asyncio.Task[int]) -> None:
    # Nobody is there any more for what the other direction may still bring.
    if has_hung_up(side):
        other.cancel()
