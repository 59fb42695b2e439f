"""Everything that an agent does, over SandboxContext."""

from __future__ import annotations

from ..session import AgentSession
from .calls import SandboxContextCalls
from .containers import SandboxContextContainers
from .pods import SandboxContextPods
from .processes import SandboxContextProcesses
from .templates import SandboxContextTemplates


class SandboxContextAgent(
    SandboxContextPods, SandboxContextTemplates, SandboxContextContainers, SandboxContextProcesses
):
    """An agent that does not know GetInfo."""

    def __init__(self, session: AgentSession) -> None:
        super().__init__(SandboxContextCalls(session))
