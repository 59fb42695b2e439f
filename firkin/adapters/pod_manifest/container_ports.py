"""The ports of a container: names for its probes, and what of the host leads to them."""

from __future__ import annotations

import ipaddress

from firkin.domain.port_forwards import LOOPBACK, PORT_MAXIMUM, PortForward

from .nodes import Field, made

_PORTS_INERT = "containers of a pod reach each other's ports on localhost, declared or not; hostPort lets the host in"
_PORT_INERT = dict.fromkeys(("name", "containerPort", "protocol"), _PORTS_INERT)


def read_port_forwards(field: Field | None) -> tuple[PortForward, ...]:
    """What `hostPort` and `hostIP` ask for; without `hostIP` the host alone gets in, unlike in a cluster."""
    forwards = [_port_forward(item) for item in ([] if field is None else field.items())]
    return tuple(forward for forward in forwards if forward is not None)


def _port_forward(item: Field) -> PortForward | None:
    if item.is_object and "hostPort" not in item.entries():
        for refused in item.fields(("hostIP",), _PORT_INERT).values():
            refused.problem("invalid-value", "without hostPort there is nothing to listen on")
        return None
    fields = item.fields(("hostPort", "hostIP", "containerPort", "protocol"), {"name": _PORTS_INERT})
    if (protocol := fields.get("protocol")) is not None and protocol.text() not in (None, "TCP"):
        protocol.problem("unsupported-value", "only TCP is forwarded")
    container_port = _port(item.required(fields, "containerPort"))
    host_port = _port(fields.get("hostPort"))
    host_address = made(fields.get("hostIP"), _address)
    if container_port is None or host_port is None:
        return None
    return PortForward(container_port, host_port, host_address or LOOPBACK)


def _port(field: Field | None) -> int | None:
    number = None if field is None else field.integer()
    if field is None or number is None or 1 <= number <= PORT_MAXIMUM:
        return number
    field.problem("invalid-value", f"{number} is not a port from 1 to {PORT_MAXIMUM}")
    return None


def _address(text: str) -> str:
    return str(ipaddress.ip_address(text))


def named_ports(field: Field | None) -> dict[str, int]:
    """The numbers of the ports that have names."""
    ports: dict[str, int] = {}
    for item in [] if field is None or not field.is_list else field.items():
        entries = item.entries() if item.is_object else {}
        name, number = (entries.get(key) for key in ("name", "containerPort"))
        if name is None or number is None or name.is_null or number.is_null:
            continue
        text, port = name.text(), number.integer()
        if text in ports:
            name.problem("duplicate-port", f"another port has the name {text!r}")
        if text is not None and port is not None:
            ports[text] = port
    return ports
