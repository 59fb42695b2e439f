"""TCP ports, as proxies name them: of the sandbox's loopback, or of anybody whom the sandbox can reach."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Sequence

from firkin.domain.errors import InvalidArgument
from firkin.domain.probes import TcpSocketAction, action_problem

from .filesystem.failures import translating

_PREFIX = "tcp:"
_CONNECTED_PREFIX = "tcp-connected:"
_PORT_MAXIMUM = 65535
_CONNECT_SECONDS = 10.0
_LOOPBACKS = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))

_Address = tuple[object, ...]


def tcp_port(target: str) -> int | None:
    """The port that `tcp:<port>` names; None for the path of a unix socket.

    Raises:
        InvalidArgument: it is no port.
    """
    if not target.startswith(_PREFIX):
        return None
    number = target.removeprefix(_PREFIX)
    if not (number.isascii() and number.isdecimal() and len(number) <= 5 and 1 <= int(number) <= _PORT_MAXIMUM):
        raise InvalidArgument(f"{target[:40]!r} names no port from 1 to {_PORT_MAXIMUM}")
    return int(number)


def tcp_address(target: str) -> tuple[str, int] | None:
    """Host and port of `tcp-connected:<host>:<port>`, an IPv6 address in brackets; None for any other target.

    Raises:
        InvalidArgument: it is neither.
    """
    if not target.startswith(_CONNECTED_PREFIX):
        return None
    bracketed, _, number = target.removeprefix(_CONNECTED_PREFIX).rpartition(":")
    host = bracketed[1:-1] if bracketed.startswith("[") and bracketed.endswith("]") else bracketed
    port = tcp_port(f"{_PREFIX}{number}")
    if port is None or (wrong := action_problem(TcpSocketAction(port, host))) is not None:
        raise InvalidArgument(f"{target[:80]!r} names no host and port: {wrong}")
    return host, port


async def connected_address(host: str, port: int) -> socket.socket:
    """Connect to the first address of `host` that answers; the result is non-blocking.

    Raises:
        AgentError: nobody listens, nobody answers in time, or the name has no address.
    """
    with translating("connect to a port", f"{_CONNECTED_PREFIX}{host}:{port}"):
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return await _first_connected([(family, address) for family, _, _, _, address in found])


async def connected_port(port: int) -> socket.socket:
    """Connect to a port of either loopback address, IPv4 first; the result is non-blocking.

    Raises:
        OSError: nobody listens, or nobody answers in time (TimeoutError).
    """
    return await _first_connected([(family, (address, port)) for family, address in _LOOPBACKS])


async def _first_connected(addresses: Sequence[tuple[int, _Address]]) -> socket.socket:
    failure: OSError | None = None
    for family, address in addresses:
        try:
            return await _connected(family, address)
        except OSError as error:
            failure = failure or error
    assert failure is not None
    raise failure


async def _connected(family: int, address: _Address) -> socket.socket:
    peer = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                await asyncio.get_running_loop().sock_connect(peer, address)
        except TimeoutError:
            raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT)) from None
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        peer.close()
        raise
    return peer
