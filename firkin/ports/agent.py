"""The guest agent, as the application sees it."""

from __future__ import annotations

from typing import Protocol

from .agent_containers import AgentContainers
from .agent_events import AgentEvents
from .agent_files import AgentFiles
from .agent_network import AgentNetwork
from .agent_pods import AgentPods
from .agent_processes import AgentProcesses
from .agent_statistics import AgentStatistics
from .agent_templates import AgentTemplates


class Agent(
    AgentPods,
    AgentTemplates,
    AgentContainers,
    AgentProcesses,
    AgentFiles,
    AgentStatistics,
    AgentEvents,
    AgentNetwork,
    Protocol,
):
    """All that an agent does.

    Every call has a deadline, `wait_process` excepted. Besides what each call names, all of them raise
    AgentError (with operation, path and errno), DeadlineExceeded, AgentUnreachable and SandboxDied, each with
    its `outcome`. A call that is cancelled or fails leaves nothing half done in the sandbox, or something that
    the matching removal takes away.
    """
