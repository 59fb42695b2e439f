"""The agent's part in the pod's network."""

from __future__ import annotations

from typing import Protocol

from firkin.domain.probes import PortAction

PORT_CHECKS = "port-checks"
"""Among the features of an agent that can ask ports."""


class AgentNetwork(Protocol):
    """Asking ports from inside the pod's network."""

    async def check_port(self, action: PortAction, timeout_seconds: float) -> str | None:
        """Ask once; returns how it failed, as the second half of a sentence, or None for a success.

        What takes longer than the timeout has failed.

        Raises:
            UnsupportedFeature: the agent has no feature `PORT_CHECKS`.
        """
        ...
