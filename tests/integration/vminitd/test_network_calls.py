"""Links, addresses, routes and names of a sandbox, over SandboxContext."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from grpc.aio import AioRpcError

from firkin.wire import sandbox_context_pb2 as context

from .agent_process import RunningAgent, detail_of, running_agent

pytestmark = pytest.mark.real_time

_INVALID = grpc.StatusCode.INVALID_ARGUMENT


@contextlib.asynccontextmanager
async def _networked_agent() -> AsyncIterator[RunningAgent]:
    """An agent whose sandbox has two interfaces, eth0 and eth1, that are each other's other end."""
    async with running_agent() as agent:
        _ip(agent, "link", "add", "eth0", "type", "veth", "peer", "name", "eth1")
        await agent.context.IpLinkSet(context.IpLinkSetRequest(interface="eth1", up=True))
        yield agent


def _ip(agent: RunningAgent, *arguments: str) -> str:
    # The agent is the only child of its unshare, and has the network namespace of it.
    command = ["nsenter", "-t", str(agent.process.pid), "-n", "ip", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _addresses(agent: RunningAgent, interface: str) -> set[str]:
    (link,) = json.loads(_ip(agent, "-j", "addr", "show", "dev", interface))
    return {f"{one['local']}/{one['prefixlen']}" for one in link["addr_info"] if one["scope"] == "global"}


def _routes(agent: RunningAgent, family: str) -> set[tuple[str, str]]:
    routes = json.loads(_ip(agent, "-j", family, "route", "show", "dev", "eth0"))
    return {(route["dst"], route.get("gateway", "")) for route in routes}


async def test_an_interface_gets_addresses_and_routes_and_twice_is_fine() -> None:
    requests = context.IpAddrAddRequest(interface="eth0", ipv4Address="10.1.2.3/24", ipv6Address="fd00::3/64")
    link = context.IpRouteAddLinkRequest(interface="eth0", dstIpv4Addr="192.0.2.1", dstIpv6Addr="fd01::/64")
    default = context.IpRouteAddDefaultRequest(interface="eth0", ipv4Gateway="192.0.2.1", ipv6Gateway="fd00::1")
    async with _networked_agent() as agent:
        await agent.context.IpLinkSet(context.IpLinkSetRequest(interface="eth0", up=True, mtu=1400))
        for _ in range(2):
            await agent.context.IpAddrAdd(requests)
            await agent.context.IpRouteAddLink(link)
            await agent.context.IpRouteAddDefault(default)
        addresses = _addresses(agent, "eth0")
        routes = _routes(agent, "-4") | _routes(agent, "-6")
        (shown,) = json.loads(_ip(agent, "-j", "link", "show", "dev", "eth0"))
        await agent.context.IpLinkSet(context.IpLinkSetRequest(interface="eth0", mtu=1300))
        (later,) = json.loads(_ip(agent, "-j", "link", "show", "dev", "eth0"))
    assert addresses == {"10.1.2.3/24", "fd00::3/64"}
    assert {("default", "192.0.2.1"), ("default", "fd00::1"), ("192.0.2.1", ""), ("fd01::/64", "")} <= routes
    assert shown["mtu"] == 1400
    assert (later["mtu"], "UP" in later["flags"]) == (1300, True)


async def test_ipv6_alone_and_a_default_route_without_a_gateway_are_possible() -> None:
    async with _networked_agent() as agent:
        await agent.context.IpLinkSet(context.IpLinkSetRequest(interface="eth0", up=True))
        await agent.context.IpAddrAdd(context.IpAddrAddRequest(interface="eth0", ipv6Address="fd00::3/64"))
        await agent.context.IpRouteAddDefault(context.IpRouteAddDefaultRequest(interface="eth0"))
        await agent.context.IpRouteAddDefault(context.IpRouteAddDefaultRequest(interface="eth0", ipv6Gateway="fd00::1"))
        routes = _routes(agent, "-4") | _routes(agent, "-6")
    assert {("default", ""), ("default", "fd00::1")} <= routes


async def test_an_ipv6_gateway_outside_the_subnet_is_reached_by_a_link_route() -> None:
    async with _networked_agent() as agent:
        await agent.context.IpLinkSet(context.IpLinkSetRequest(interface="eth0", up=True))
        await agent.context.IpAddrAdd(context.IpAddrAddRequest(interface="eth0", ipv6Address="fd00::3/64"))
        default = context.IpRouteAddDefaultRequest(interface="eth0", ipv6Gateway="fd99::1")
        with pytest.raises(AioRpcError) as failure:
            await agent.context.IpRouteAddDefault(default)
        await agent.context.IpRouteAddLink(context.IpRouteAddLinkRequest(interface="eth0", dstIpv6Addr="fd99::1"))
        await agent.context.IpRouteAddDefault(default)
        routes = _routes(agent, "-6")
    assert detail_of(failure.value).errno in (errno.EHOSTUNREACH, errno.EINVAL, errno.ENETUNREACH)
    assert {("default", "fd99::1"), ("fd99::1", "")} <= routes


async def test_what_is_there_with_other_values_is_not_taken_for_the_same() -> None:
    async with _networked_agent() as agent:
        await agent.context.IpLinkSet(context.IpLinkSetRequest(interface="eth0", up=True))
        await agent.context.IpAddrAdd(
            context.IpAddrAddRequest(interface="eth0", ipv4Address="10.1.2.3/24", ipv6Address="fd00::3/64")
        )
        await agent.context.IpRouteAddDefault(
            context.IpRouteAddDefaultRequest(interface="eth0", ipv4Gateway="10.1.2.1")
        )
        with pytest.raises(AioRpcError) as route:
            await agent.context.IpRouteAddDefault(
                context.IpRouteAddDefaultRequest(interface="eth0", ipv4Gateway="10.1.2.2")
            )
        with pytest.raises(AioRpcError) as address:
            await agent.context.IpAddrAdd(context.IpAddrAddRequest(interface="eth0", ipv6Address="fd00::3/48"))
    for failure in (route, address):
        assert failure.value.code() is grpc.StatusCode.ALREADY_EXISTS
        assert (detail_of(failure.value).errno, detail_of(failure.value).path) == (errno.EEXIST, "eth0")


async def test_what_is_no_address_or_interface_is_told() -> None:
    async with running_agent() as agent:
        for request in (
            context.IpAddrAddRequest(interface="lo"),
            context.IpAddrAddRequest(interface="lo", ipv4Address="10.0.0.1"),
            context.IpAddrAddRequest(interface="lo", ipv4Address="300.0.0.1/8"),
            context.IpAddrAddRequest(interface="lo", ipv4Address="fd00::1/64"),
            context.IpAddrAddRequest(interface="lo", ipv6Address="10.0.0.1/8"),
            context.IpAddrAddRequest(interface="../x", ipv4Address="10.0.0.1/8"),
        ):
            with pytest.raises(AioRpcError) as failure:
                await agent.context.IpAddrAdd(request)
            assert failure.value.code() is _INVALID
        with pytest.raises(AioRpcError) as failure:
            await agent.context.IpRouteAddLink(context.IpRouteAddLinkRequest(interface="lo"))
        assert failure.value.code() is _INVALID
        with pytest.raises(AioRpcError) as failure:
            await agent.context.IpRouteAddDefault(
                context.IpRouteAddDefaultRequest(interface="lo", ipv4Gateway="10.0.0.0/8")
            )
        assert failure.value.code() is _INVALID
        with pytest.raises(AioRpcError) as failure:
            await agent.context.IpLinkSet(context.IpLinkSetRequest(interface="eth9", up=True))
        assert detail_of(failure.value).errno == errno.ENODEV
        with pytest.raises(AioRpcError) as failure:
            await agent.context.IpAddrAdd(context.IpAddrAddRequest(interface="eth9", ipv4Address="10.0.0.1/8"))
        assert detail_of(failure.value).errno == errno.ENODEV


async def test_names_are_configured_below_a_location(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "outside").write_text("untouched")
    (tmp_path / "etc/resolv.conf").symlink_to(tmp_path / "outside")
    dns = context.ConfigureDnsRequest(
        location=str(tmp_path),
        nameservers=["10.0.0.2", "fd00::2"],
        domain="example.test",
        searchDomains=["a.test", "b.test"],
        options=["ndots:2", "rotate"],
    )
    entry = context.ConfigureHostsRequest.HostsEntry
    hosts = context.ConfigureHostsRequest(
        location=str(tmp_path / "new"),
        entries=[
            entry(ipAddress="10.0.0.3", hostnames=["db", "db.test"], comment="the data"),
            entry(ipAddress="::1", hostnames=["localhost"]),
        ],
        comment="made",
    )
    async with running_agent() as agent:
        for _ in range(2):
            await agent.context.ConfigureDns(dns)
            await agent.context.ConfigureHosts(hosts)
    assert (tmp_path / "etc/resolv.conf").read_text() == (
        "nameserver 10.0.0.2\nnameserver fd00::2\ndomain example.test\nsearch a.test b.test\noptions ndots:2 rotate\n"
    )
    assert (tmp_path / "outside").read_text() == "untouched"
    assert (tmp_path / "new/etc/hosts").read_text() == "# made\n10.0.0.3\tdb db.test # the data\n::1\tlocalhost\n"
    assert os.listdir(tmp_path / "new/etc") == ["hosts"]


async def test_names_cannot_be_smuggled_in_or_written_elsewhere(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    rootfs = tmp_path / "rootfs"
    rootfs.mkdir()
    (rootfs / "etc").symlink_to("../outside")
    entry = context.ConfigureHostsRequest.HostsEntry
    async with running_agent() as agent:
        for dns in (
            context.ConfigureDnsRequest(location=str(tmp_path), nameservers=["dns.example.test"]),
            context.ConfigureDnsRequest(location=str(tmp_path), searchDomains=["a\nnameserver 10.0.0.9"]),
            context.ConfigureDnsRequest(location=str(tmp_path), options=["a b"]),
            context.ConfigureDnsRequest(location="relative"),
        ):
            with pytest.raises(AioRpcError) as failure:
                await agent.context.ConfigureDns(dns)
            assert failure.value.code() is _INVALID
        for hosts in (
            entry(ipAddress="nowhere", hostnames=["a"]),
            entry(ipAddress="10.0.0.1"),
            entry(ipAddress="10.0.0.1", hostnames=["a b"]),
            entry(ipAddress="10.0.0.1", hostnames=["a"], comment="one\ntwo"),
        ):
            with pytest.raises(AioRpcError) as failure:
                await agent.context.ConfigureHosts(
                    context.ConfigureHostsRequest(location=str(tmp_path), entries=[hosts])
                )
            assert failure.value.code() is _INVALID
        # As after chroot: `..` stays inside, and there the directory is missing.
        with pytest.raises(AioRpcError) as failure:
            await agent.context.ConfigureHosts(context.ConfigureHostsRequest(location=str(rootfs)))
        assert detail_of(failure.value).path.startswith(str(rootfs))
    assert list(outside.iterdir()) == []
    assert not (tmp_path / "etc").exists()
