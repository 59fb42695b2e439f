"""Faults on purpose, at an exact call or byte, over any adapter: in memory or real.

    script = FaultScript()
    script.on("agent.start_container", Fault(FaultKind.LATE), call=2)
    config = RuntimeConfig(vmm=script.vmm(NamespaceVmm()), agents=script.agents(GrpcAgentConnector()), store=...)

Every call of a wrapped port has a name (`vmm.boot`, `store.open`, `agents.connect`, `agent.start_container`,
`stdout.read`), and stands in `script.calls` in the order in which it was made. What was injected is told by
`script.injected`; a script of the same seed and rules does the same again.
"""

from .connection import CutConnection, CuttingConnector
from .kinds import Fault, FaultKind
from .script import FaultScript

__all__ = ["CutConnection", "CuttingConnector", "Fault", "FaultKind", "FaultScript"]
