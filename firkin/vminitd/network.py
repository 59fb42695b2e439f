"""Network interfaces, addresses and routes of the sandbox (netdevice(7), rtnetlink(7))."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import ipaddress
import os
import socket
import struct
from collections.abc import Iterator

from firkin.domain.errors import AgentError, InvalidArgument

from .error_numbers import number_of

_SIOCGIFFLAGS = 0x8913
_SIOCSIFFLAGS = 0x8914
_SIOCGIFMTU = 0x8921
_SIOCSIFMTU = 0x8922
_IFF_UP = 0x1
_FLAGS = struct.Struct("16sh22x")
_MTU = struct.Struct("16si20x")
_NAME_BYTES = 15
_MTU_MAXIMUM = 2**31 - 1

# linux/if_addr.h: family, prefix length, flags, scope, index; linux/rtnetlink.h: struct rtmsg.
_ADDRESS = struct.Struct("=BBBBI")
_ROUTE = struct.Struct("=BBBBBBBBI")
_INDEX = struct.Struct("=I")
_PERMANENT, _NO_DUPLICATE_CHECK = 0x80, 0x02
_TABLE_MAIN, _BY_KERNEL, _BY_BOOT = 254, 2, 3
_SCOPE_UNIVERSE, _SCOPE_LINK, _UNICAST, _UNREACHABLE = 0, 253, 1, 7

_Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}


def set_link(interface: str, *, up: bool, mtu: int | None) -> None:
    """Bring an interface up, or down, and set its MTU in bytes; as it is already is fine.

    Raises:
        InvalidArgument: it is no interface's name, or no MTU.
        AgentError: there is no such interface (ENODEV), or the kernel refused.
    """
    name = _interface_name(interface)
    if mtu is not None and not 0 < mtu <= _MTU_MAXIMUM:
        raise InvalidArgument(f"an MTU of {mtu} bytes is none")
    with _translating("set link", interface), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        if mtu is not None and _MTU.unpack(fcntl.ioctl(control, _SIOCGIFMTU, _MTU.pack(name, 0)))[1] != mtu:
            fcntl.ioctl(control, _SIOCSIFMTU, _MTU.pack(name, mtu))
        flags = _FLAGS.unpack(fcntl.ioctl(control, _SIOCGIFFLAGS, _FLAGS.pack(name, 0)))[1]
        # Other agents take a link down that was asked for an MTU alone; that is a defect.
        wanted = flags | _IFF_UP if up else flags if mtu is not None else flags & ~_IFF_UP
        if wanted != flags:
            fcntl.ioctl(control, _SIOCSIFFLAGS, _FLAGS.pack(name, wanted))


def add_addresses(interface: str, ipv4: str, ipv6: str) -> None:
    """Give an interface addresses in CIDR notation, "" for none; those that it has already are fine.

    Raises:
        InvalidArgument: neither is given, or one is no address.
        AgentError: the kernel refused; EEXIST: the interface has it with another prefix length.
    """
    _interface_name(interface)
    wanted = [_interface_address(text, version) for text, version in ((ipv4, 4), (ipv6, 6)) if text]
    if not wanted:
        raise InvalidArgument("an IPv4 or an IPv6 address is needed")
    with _translating("add address", interface):
        index = _interface_index(interface)
        for address in wanted:
            if address.version == 6:
                _stop_autoconfiguration(interface)
            _add_address(interface, index, address)


def add_link_routes(interface: str, *routes: tuple[str, str]) -> None:
    """Reach networks on the link itself; each is a destination in CIDR notation, "" for none, and a source or "".

    Raises:
        InvalidArgument: no destination is given, or something is no address.
        AgentError: the kernel refused; EEXIST: there is another route to a destination.
    """
    _interface_name(interface)
    wanted = [
        (_network(destination, version), _address(source, version) if source else None)
        for (destination, source), version in zip(routes, (4, 6), strict=True)
        if destination
    ]
    if not wanted:
        raise InvalidArgument("a destination is needed")
    with _translating("add link route", interface):
        index = _interface_index(interface)
        for destination, source in wanted:
            _add_route(index, destination, gateway=None, source=source)


def add_default_routes(interface: str, ipv4_gateway: str, ipv6_gateway: str) -> None:
    """Reach everything else through gateways; with neither, IPv4 on the link itself.

    Raises:
        InvalidArgument: a gateway is no address.
        AgentError: the kernel refused; EEXIST: there is another default route.
    """
    _interface_name(interface)
    gateways = [_address(text, version) for text, version in ((ipv4_gateway, 4), (ipv6_gateway, 6)) if text]
    with _translating("add default route", interface):
        index = _interface_index(interface)
        for gateway in gateways:
            everything = "0.0.0.0/0" if gateway.version == 4 else "::/0"
            _add_route(index, ipaddress.ip_interface(everything), gateway=gateway, source=None)
        if not gateways:
            _add_route(index, ipaddress.ip_interface("0.0.0.0/0"), gateway=None, source=None)


def refuse_destination(address: str) -> None:
    """Answer whoever connects to an IPv4 address that it cannot be reached; it can still be a gateway.

    Raises:
        InvalidArgument: it is no address.
        AgentError: the kernel refused.
    """
    from . import rtnetlink

    wanted = _address(address, 4)
    with _translating("refuse destination", address):
        fixed = _ROUTE.pack(socket.AF_INET, 32, 0, 0, _TABLE_MAIN, _BY_BOOT, _SCOPE_UNIVERSE, _UNREACHABLE, 0)
        rtnetlink.added(rtnetlink.RTM_NEWROUTE, fixed, {rtnetlink.RTA_DST: wanted.packed})


def _add_address(interface: str, index: int, address: _Interface) -> None:
    # Loaded by who gives addresses: most sandboxes have only their loopback interface.
    from . import rtnetlink

    family, length, packed = _FAMILIES[address.version], address.network.prefixlen, address.ip.packed
    attributes = {rtnetlink.IFA_LOCAL: packed, rtnetlink.IFA_ADDRESS: packed}
    if address.version == 6:
        attributes[rtnetlink.IFA_FLAGS] = _INDEX.pack(_PERMANENT | _NO_DUPLICATE_CHECK)
    fixed = _ADDRESS.pack(family, length, _PERMANENT, _SCOPE_UNIVERSE, index)
    if rtnetlink.added(rtnetlink.RTM_NEWADDR, fixed, attributes):
        return
    for record in rtnetlink.dumped(rtnetlink.RTM_GETADDR, _ADDRESS.pack(family, 0, 0, 0, 0)):
        _, its_length, _, _, its_index = _ADDRESS.unpack(record.fixed)
        its_address = record.attributes.get(rtnetlink.IFA_LOCAL, record.attributes.get(rtnetlink.IFA_ADDRESS))
        if (its_index, its_length, its_address) == (index, length, packed):
            return
    raise FileExistsError(errno.EEXIST, f"{interface} has {address.ip} with another prefix length")


def _add_route(index: int, destination: _Interface, gateway: _Address | None, source: _Address | None) -> None:
    from . import rtnetlink

    family, network = _FAMILIES[destination.version], destination.network
    attributes = {rtnetlink.RTA_OIF: _INDEX.pack(index)}
    if network.prefixlen:
        attributes[rtnetlink.RTA_DST] = network.network_address.packed
    if gateway is not None:
        attributes[rtnetlink.RTA_GATEWAY] = gateway.packed
    if source is not None:
        attributes[rtnetlink.RTA_PREFSRC] = source.packed
    scope = _SCOPE_LINK if gateway is None and destination.version == 4 else _SCOPE_UNIVERSE
    origin = _BY_BOOT if gateway is not None or not network.prefixlen else _BY_KERNEL
    fixed = _ROUTE.pack(family, network.prefixlen, 0, 0, _TABLE_MAIN, origin, scope, _UNICAST, 0)
    if rtnetlink.added(rtnetlink.RTM_NEWROUTE, fixed, attributes):
        return
    for record in rtnetlink.dumped(rtnetlink.RTM_GETROUTE, _ROUTE.pack(family, *[0] * 8)):
        _, length, _, _, table, _, _, _, _ = _ROUTE.unpack(record.fixed)
        compared = {number: record.attributes.get(number) for number in (1, 4, 5, 7)}
        wanted = {number: attributes.get(number) for number in (1, 4, 5, 7)}
        if source is None:
            # The kernel chooses one for IPv4 by itself.
            compared[rtnetlink.RTA_PREFSRC] = None
        if (table, length, compared) == (_TABLE_MAIN, network.prefixlen, wanted):
            return
    raise FileExistsError(errno.EEXIST, f"there is another route to {network}")


def _stop_autoconfiguration(interface: str) -> None:
    for name in ("accept_ra", "autoconf"):
        with contextlib.suppress(OSError), open(f"/proc/sys/net/ipv6/conf/{interface}/{name}", "w") as setting:
            setting.write("0")


def _interface_name(interface: str) -> bytes:
    name = interface.encode()
    if (
        not 0 < len(name) <= _NAME_BYTES
        or interface in (".", "..")
        or any(byte <= 0x20 or byte in b"/:" for byte in name)
    ):
        raise InvalidArgument(f"{interface!r} is not the name of a network interface")
    return name


def _interface_index(interface: str) -> int:
    try:
        return socket.if_nametoindex(interface)
    except OSError as error:
        # The C library does not tell why.
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV)) from error


def _interface_address(text: str, version: int) -> _Interface:
    try:
        address = ipaddress.ip_interface(text)
    except ValueError as error:
        raise InvalidArgument(f"{text!r} is not an IPv{version} address in CIDR notation") from error
    if address.version != version or "/" not in text or "%" in text:
        raise InvalidArgument(f"{text!r} is not an IPv{version} address in CIDR notation")
    return address


def _network(text: str, version: int) -> _Interface:
    return _interface_address(text if "/" in text else f"{text}/{32 if version == 4 else 128}", version)


def _address(text: str, version: int) -> _Address:
    try:
        address = ipaddress.ip_address(text)
    except ValueError as error:
        raise InvalidArgument(f"{text!r} is not an IPv{version} address") from error
    if address.version != version or "%" in text:
        raise InvalidArgument(f"{text!r} is not an IPv{version} address")
    return address


@contextlib.contextmanager
def _translating(operation: str, interface: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise AgentError(operation, reason, path=interface, errno=number_of(error)) from error
