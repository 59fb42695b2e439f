"""The agent's part in the pod's network."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from firkin.domain.port_forwards import PortForward
from firkin.domain.probes import PortAction

PORT_CHECKS = "port-checks"
"""Among the features of an agent that can ask ports."""
PORT_FORWARDS = "port-forwards"
"""Among the features of an agent whose proxies reach TCP ports."""


class AgentNetwork(Protocol):
    """The pod's network, from inside."""

    async def check_port(self, action: PortAction, timeout_seconds: float) -> str | None:
        """Ask once; returns how it failed, as the second half of a sentence, or None for a success.

        What takes longer than the timeout has failed.

        Raises:
            UnsupportedFeature: the agent has no feature `PORT_CHECKS`.
        """
        ...

    def forwarded(self, forward: PortForward) -> AbstractAsyncContextManager[PortForward]:
        """Listen on the host, and connect each connection with the pod's port; gives the port that it got.

        Both directions end on their own; nothing is kept for a side that does not read. A connection that the pod
        refuses is closed at once. Leaving ends the listening and every connection.

        Raises:
            HostPortUnavailable: the host does not let the port be listened on.
            UnsupportedFeature: the agent's proxies reach no TCP ports.
        """
        ...
