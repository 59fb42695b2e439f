"""TCP ports of the sandbox's loopback, where containers listen for everybody or for their pod alone."""

from __future__ import annotations

import asyncio
import socket

from firkin.domain.errors import InvalidArgument

_PREFIX = "tcp:"
_PORT_MAXIMUM = 65535
_CONNECT_SECONDS = 10.0
_LOOPBACKS = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))


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


async def connected_port(port: int) -> socket.socket:
    """Connect to a port of either loopback address, IPv4 first; the result is non-blocking.

    Raises:
        OSError: nobody listens, or nobody answers in time (TimeoutError).
    """
    failure: OSError | None = None
    for family, address in _LOOPBACKS:
        try:
            return await _connected(family, address, port)
        except OSError as error:
            failure = failure or error
    assert failure is not None
    raise failure


async def _connected(family: int, address: str, port: int) -> socket.socket:
    peer = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            await asyncio.get_running_loop().sock_connect(peer, (address, port))
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        peer.close()
        raise
    return peer
