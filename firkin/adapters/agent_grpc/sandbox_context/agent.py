"""Everything that an agent does, over SandboxContext."""

from __future__ import annotations

from ..session import AgentSession
from .calls import SandboxContextCalls
from .containers import SandboxContextContainers
from .events import SandboxContextEvents
from .files import SandboxContextFiles
from .network import SandboxContextNetwork
from .pods import SandboxContextPods
from .processes import SandboxContextProcesses
from .statistics import SandboxContextStatistics
from .templates import SandboxContextTemplates


class SandboxContextAgent(
    SandboxContextPods,
    SandboxContextTemplates,
    SandboxContextContainers,
    SandboxContextProcesses,
    SandboxContextFiles,
    SandboxContextStatistics,
    SandboxContextEvents,
    SandboxContextNetwork,
):
    """An agent that does not know GetInfo, or is not asked to speak as one that does."""

    def __init__(self, session: AgentSession, features: frozenset[str] | None) -> None:
        """`features`: what an agent of firkin's says that it can do; None for any other agent."""
        super().__init__(SandboxContextCalls(session, features))
