"""The RPCs of SandboxContext about the network: links, addresses, routes and names. All are idempotent."""

from __future__ import annotations

from grpc.aio import ServicerContext

from firkin.domain.name_resolution import DnsConfig, HostEntry
from firkin.wire import sandbox_context_pb2 as wire

from .. import name_files, network
from ..agent import GuestAgent
from .errors import answering

_Context = ServicerContext[object, object]


class NetworkCalls:
    """The network of the sandbox, which its containers share, and the files by which they find names."""

    _agent: GuestAgent

    async def IpLinkSet(self, request: wire.IpLinkSetRequest, context: _Context) -> wire.IpLinkSetResponse:
        async with answering(context, "set link", request.interface):
            mtu = request.mtu if request.HasField("mtu") else None
            network.set_link(request.interface, up=request.up, mtu=mtu)
        return wire.IpLinkSetResponse()

    async def IpAddrAdd(self, request: wire.IpAddrAddRequest, context: _Context) -> wire.IpAddrAddResponse:
        # Other agents insist on an IPv4 address; here either family is enough.
        async with answering(context, "add address", request.interface):
            network.add_addresses(request.interface, request.ipv4Address, request.ipv6Address)
        return wire.IpAddrAddResponse()

    async def IpRouteAddLink(
        self, request: wire.IpRouteAddLinkRequest, context: _Context
    ) -> wire.IpRouteAddLinkResponse:
        async with answering(context, "add link route", request.interface):
            ipv4 = (request.dstIpv4Addr, request.srcIpv4Addr)
            network.add_link_routes(request.interface, ipv4, (request.dstIpv6Addr, request.srcIpv6Addr))
        return wire.IpRouteAddLinkResponse()

    async def IpRouteAddDefault(
        self, request: wire.IpRouteAddDefaultRequest, context: _Context
    ) -> wire.IpRouteAddDefaultResponse:
        async with answering(context, "add default route", request.interface):
            network.add_default_routes(request.interface, request.ipv4Gateway, request.ipv6Gateway)
        return wire.IpRouteAddDefaultResponse()

    async def ConfigureDns(self, request: wire.ConfigureDnsRequest, context: _Context) -> wire.ConfigureDnsResponse:
        async with answering(context, "configure DNS", request.location):
            domain = request.domain if request.HasField("domain") else None
            config = DnsConfig(request.nameservers, request.searchDomains, request.options, domain or None)
            await self._agent.workers.run(name_files.configure_dns, request.location, config)
        return wire.ConfigureDnsResponse()

    async def ConfigureHosts(
        self, request: wire.ConfigureHostsRequest, context: _Context
    ) -> wire.ConfigureHostsResponse:
        async with answering(context, "configure hosts", request.location):
            entries = [
                HostEntry(entry.ipAddress, entry.hostnames, entry.comment if entry.HasField("comment") else None)
                for entry in request.entries
            ]
            comment = request.comment if request.HasField("comment") else None
            await self._agent.workers.run(name_files.configure_hosts, request.location, entries, comment)
        return wire.ConfigureHostsResponse()
