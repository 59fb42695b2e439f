"""Proxies between unix sockets of the sandbox and ports of its host, in either direction."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import sys
from collections.abc import Awaitable, Callable
from functools import partial

from firkin.domain.errors import AgentError, InvalidArgument, PathRefused

from .filesystem.beneath import refusing
from .filesystem.failures import translating
from .host_streams import HostStreams
from .relays import Relay
from .tcp_ports import connected_address, connected_port, tcp_address, tcp_port
from .unix_sockets import Remove, checked_socket_path, connected_to_socket, listening_socket

_PORT_MAXIMUM = 2**32 - 2
_DESCRIPTORS_SHORT_SECONDS = 0.1

Dial = Callable[[], Awaitable[socket.socket]]
Takes = Callable[[socket.socket], bool]


class Proxy:
    """A listening socket; each of its connections is relayed to a connection of its own that `dial` opens."""

    def __init__(self, listener: socket.socket, dial: Dial, remove: Remove, takes: Takes | None = None) -> None:
        """`takes` tells which connections are taken; all are when it is None."""
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._dial = dial
        self._remove = remove
        self._takes = takes
        self._dialling: set[asyncio.Task[None]] = set()
        self._relays: set[Relay] = set()
        self._is_closed = False
        listener.setblocking(False)
        self._loop.add_reader(listener, self._accept)

    @property
    def has_connections(self) -> bool:
        """True while something is relayed, or about to be."""
        return bool(self._relays or self._dialling)

    def stop(self) -> None:
        """Take no more connections; those that there are go on until their end."""
        if self._is_closed:
            return
        self._is_closed = True
        self._loop.remove_reader(self._listener)
        self._remove()
        self._listener.close()

    async def close(self) -> None:
        """Stop, and end every connection."""
        self.stop()
        for task in self._dialling:
            task.cancel()
        if self._dialling:
            await asyncio.wait(self._dialling)
        for relay in tuple(self._relays):
            relay.close()

    def _accept(self) -> None:
        try:
            near, _ = self._listener.accept()
        except BlockingIOError:
            return
        except OSError as error:
            # Out of descriptors, for example: listening on would only spin until one is free.
            print(f"vminitd: a proxy cannot accept: {error}", file=sys.stderr, flush=True)
            self._loop.remove_reader(self._listener)
            self._loop.call_later(_DESCRIPTORS_SHORT_SECONDS, self._accept_again)
            return
        if self._takes is not None and not self._takes(near):
            near.close()
            return
        near.setblocking(False)
        task = self._loop.create_task(self._connect(near))
        self._dialling.add(task)
        task.add_done_callback(self._dialling.discard)

    def _accept_again(self) -> None:
        if not self._is_closed:
            self._loop.add_reader(self._listener, self._accept)

    async def _connect(self, near: socket.socket) -> None:
        try:
            far = await self._dial()
        except (OSError, AgentError, PathRefused) as error:
            print(f"vminitd: a proxy cannot connect: {error}", file=sys.stderr, flush=True)
            near.close()
            return
        except BaseException:
            near.close()
            raise
        relay_both_ways(near, far, self._relays)


def relay_both_ways(near: socket.socket, far: socket.socket, running: set[Relay]) -> None:
    """Hand on what either side sends, and its end, until both have ended; `running` has the relays meanwhile."""
    open_directions = 2

    def ended(source: socket.socket, sink: socket.socket) -> None:
        nonlocal open_directions
        open_directions -= 1
        for side, how in ((sink, socket.SHUT_WR), (source, socket.SHUT_RD)):
            with contextlib.suppress(OSError):
                side.shutdown(how)
        if not open_directions:
            near.close()
            far.close()

    for source, sink in ((near, far), (far, near)):
        relay = Relay(source.fileno(), sink.fileno(), partial(ended, source, sink))
        running.add(relay)
        relay.ended.add_done_callback(partial(_forget, running, relay))


def _forget(running: set[Relay], relay: Relay, _: asyncio.Future[None]) -> None:
    running.discard(relay)


class _FirstConnection:
    """A connection that is there already, for the first one who asks; for the others `dial` makes new ones."""

    def __init__(self, connection: socket.socket, dial: Dial) -> None:
        self._connection: socket.socket | None = connection
        self._dial = dial

    async def dial(self) -> socket.socket:
        connection, self._connection = self._connection, None
        return await self._dial() if connection is None else connection

    def close(self) -> None:
        """Close it, if nobody has asked."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Proxies:
    """The proxies of a sandbox, by their ids."""

    def __init__(self, host: HostStreams) -> None:
        self._host = host
        self._table: dict[str, Proxy] = {}
        self._stopped: list[Proxy] = []

    def into(self, proxy_id: str, port: int, guest_path: str, permissions: int) -> None:
        """Listen at `guest_path` in the sandbox; each connection goes to `port` of the host.

        A socket that is there is replaced, in one step; anything else is not.

        Raises:
            InvalidArgument, PathRefused: port or path cannot be used; a symlink in it is refused.
            AgentError: EEXIST: there is a proxy of this id, which goes on; or the path is no socket.
        """
        self._check(proxy_id, port, guest_path)
        with translating("listen for proxy", guest_path), refusing(guest_path):
            listener, remove = listening_socket(guest_path, permissions)
        self._table[proxy_id] = Proxy(listener, lambda: self._host.connect(port), remove)

    async def out_of(self, proxy_id: str, port: int, guest_path: str) -> None:
        """Listen on `port` of the sandbox for the host; each connection goes to the socket `guest_path`.

        The path is resolved at every connection, without following a symlink. `tcp:<port>` is a TCP port of the
        sandbox's loopback instead. `tcp-connected:<host>:<port>` is dialled before this returns, for the first
        connection: so the host learns whether somebody listens, and why not.

        Raises:
            InvalidArgument, PathRefused: port or path cannot be used.
            AgentError: EEXIST: there is a proxy of this id or on this port, which goes on. Other: see
                `connected_address`.
        """
        self._check(proxy_id, port, guest_path)
        address = tcp_address(guest_path)
        if address is None:
            self._listen_for_host(proxy_id, port, _dial_of(guest_path))
            return
        first = _FirstConnection(await connected_address(*address), partial(connected_address, *address))
        try:
            self._check(proxy_id, port, guest_path)
            self._listen_for_host(proxy_id, port, first.dial, first.close)
        except BaseException:
            first.close()
            raise

    def _listen_for_host(self, proxy_id: str, port: int, dial: Dial, close: Remove = lambda: None) -> None:
        listener, remove = self._host.listening(port)

        def stop() -> None:
            remove()
            close()

        self._table[proxy_id] = Proxy(listener, dial, stop, self._host.is_host)

    def stop(self, proxy_id: str) -> None:
        """End a proxy; its connections go on. An unknown one is ended already."""
        proxy = self._table.pop(proxy_id, None)
        if proxy is not None:
            proxy.stop()
            self._stopped = [one for one in (*self._stopped, proxy) if one.has_connections]

    async def close(self) -> None:
        """End every proxy and every connection."""
        proxies = [*self._table.values(), *self._stopped]
        self._table.clear()
        self._stopped.clear()
        for proxy in proxies:
            await proxy.close()

    def _check(self, proxy_id: str, port: int, guest_path: str) -> None:
        if not proxy_id:
            raise InvalidArgument("a proxy needs an id")
        if not 0 < port <= _PORT_MAXIMUM:
            raise InvalidArgument(f"{port} is no port")
        if proxy_id in self._table:
            raise AgentError("make proxy", f"there is a proxy {proxy_id!r}", path=guest_path, errno=errno.EEXIST)


def _dial_of(target: str) -> Dial:
    port = tcp_port(target)
    if port is not None:
        return partial(connected_port, port)
    checked_socket_path(target)
    return partial(connected_to_socket, target)
