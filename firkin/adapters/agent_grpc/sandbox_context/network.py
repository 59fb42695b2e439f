"""The pod's network over SandboxContext, by proxies to TCP ports, which firkin's agent adds to this service."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from firkin.domain.errors import Outcome, UnsupportedFeature
from firkin.domain.port_forwards import PortForward
from firkin.domain.probes import PortAction
from firkin.ports.agent_network import PORT_FORWARDS

from ..features import CONNECTED_PROXIES
from ..port_forwarding import forwarded
from .calls import SandboxContextPart

_UNIX_ONLY = "this guest agent's proxies reach unix sockets only"


class SandboxContextNetwork(SandboxContextPart):
    """Asking ports from inside the sandbox, and forwarding the host's to them."""

    async def check_port(self, action: PortAction, timeout_seconds: float) -> str | None:
        """Ask from here, over a proxy that the agent has connected with the port."""
        self._require(CONNECTED_PROXIES, "asking a port of the pod", "check port")
        # With HTTP it is slow to load, and few pods probe.
        from firkin.port_checks import port_failure

        from .proxied_ports import ProxiedPorts

        return await port_failure(action, timeout_seconds, ProxiedPorts(self._calls, timeout_seconds))

    @contextlib.asynccontextmanager
    async def forwarded(self, forward: PortForward) -> AsyncIterator[PortForward]:
        """By a proxy to a TCP port."""
        self._require(PORT_FORWARDS, "forwarding a port", "forward port")
        async with forwarded(self._calls.session, self._calls.stub, forward) as made:
            yield made

    def _require(self, feature: str, what: str, operation: str) -> None:
        if feature not in self._calls.features:
            raise UnsupportedFeature(what, _UNIX_ONLY).during(operation, outcome=Outcome.DID_NOT)
