"""The pod's network over SandboxContext, which asks no port."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from firkin.domain.errors import Outcome, UnsupportedFeature
from firkin.domain.port_forwards import PortForward
from firkin.domain.probes import PortAction

from ..port_forwarding import forwarded
from .calls import SandboxContextPart


class SandboxContextNetwork(SandboxContextPart):
    """Asking ports from inside the sandbox, and forwarding the host's to them."""

    async def check_port(self, action: PortAction, timeout_seconds: float) -> str | None:
        """This service has proxies of unix sockets only."""
        refused = UnsupportedFeature("asking a port of the pod", "the guest agent's service SandboxContext dials none")
        raise refused.during("check port", outcome=Outcome.DID_NOT)

    @contextlib.asynccontextmanager
    async def forwarded(self, forward: PortForward) -> AsyncIterator[PortForward]:
        """By a proxy to a TCP port, which is an addition of firkin's agent to this service."""
        if self._calls.is_strict:
            refused = UnsupportedFeature("forwarding a port", "this guest agent's proxies reach unix sockets only")
            raise refused.during("forward port", outcome=Outcome.DID_NOT)
        async with forwarded(self._calls.session, self._calls.stub, forward) as made:
            yield made
