"""The pod's network over SandboxContext, which dials no port."""

from __future__ import annotations

from firkin.domain.errors import Outcome, UnsupportedFeature
from firkin.domain.probes import PortAction

from .calls import SandboxContextPart


class SandboxContextNetwork(SandboxContextPart):
    """Asking ports from inside the sandbox."""

    async def check_port(self, action: PortAction, timeout_seconds: float) -> str | None:
        """This service has proxies of unix sockets only."""
        refused = UnsupportedFeature("asking a port of the pod", "the guest agent's service SandboxContext dials none")
        raise refused.during("check port", outcome=Outcome.DID_NOT)
