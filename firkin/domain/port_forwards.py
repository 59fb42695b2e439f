"""TCP ports of the host that lead to a pod's."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from typing import Self

import msgspec

from .errors import InvalidPortForward, SpecProblem

LOOPBACK = "127.0.0.1"
"""Where a forwarded port is reachable unless something else is asked for: from the host alone."""

PORT_MAXIMUM = 65535
_NUMBER_DIGITS = 20


class PortForward(msgspec.Struct, frozen=True):
    """A TCP port of the host whose connections go to a port of the pod.

    Attributes:
        container_port: where a container of the pod listens, on any of its addresses or on the loopback's.
        host_port: where the host listens; 0 for any that is free.
        host_address: the IP address to listen on; "0.0.0.0" or "::" for all that the host has.
    """

    container_port: int
    host_port: int = 0
    host_address: str = LOOPBACK

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `[[IP:]HOST:]CONTAINER[/tcp]`; an IPv6 address stands in brackets, and a HOST of 0 or none is any.

        Raises:
            InvalidPortForward: it is nothing of the kind; all problems are told.
        """
        ports, slash, protocol = text.partition("/")
        if slash and protocol.lower() != "tcp":
            raise InvalidPortForward(text, f"only TCP is forwarded, not {protocol!r}")
        before, _, container = ports.rpartition(":")
        address, _, host = before.rpartition(":")
        if address.startswith("[") and address.endswith("]"):
            address = address[1:-1]
        if not _is_number(container) or not _is_number(host or "0"):
            raise InvalidPortForward(text, "it is not of the form [[IP:]HOST:]CONTAINER, such as 8080:80")
        forward = cls(int(container), int(host or "0"), address or LOOPBACK)
        problems = [problem.message for problem in port_forward_problems((forward,), "")]
        if problems:
            raise InvalidPortForward(text, "; ".join(problems))
        return forward

    def __str__(self) -> str:
        address = f"[{self.host_address}]" if ":" in self.host_address else self.host_address
        return f"{address}:{self.host_port} -> {self.container_port}"


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= _NUMBER_DIGITS


def port_forward_problems(forwards: Iterable[PortForward], where: str) -> Iterator[SpecProblem]:
    """Yield every problem of the ports that a pod forwards."""
    taken: set[tuple[str, int]] = set()
    for index, forward in enumerate(forwards):
        here = f"{where}[{index}]"
        if not 1 <= forward.container_port <= PORT_MAXIMUM:
            yield SpecProblem(here, "container-port", f"{forward.container_port} is not a port from 1 to 65535")
        if not 0 <= forward.host_port <= PORT_MAXIMUM:
            yield SpecProblem(here, "host-port", f"{forward.host_port} is not a port from 1 to 65535, or 0 for any")
        if not _is_address(forward.host_address):
            yield SpecProblem(here, "host-address", f"{forward.host_address!r} is not an IP address of the host")
        listening = forward.host_address, forward.host_port
        if forward.host_port and listening in taken:
            message = f"port {forward.host_port} of {forward.host_address} is forwarded twice"
            yield SpecProblem(here, "duplicate-host-port", message)
        taken.add(listening)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
