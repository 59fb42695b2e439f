"""SandboxContext: every RPC of the contract."""

from __future__ import annotations

from firkin.wire.sandbox_context_pb2_grpc import SandboxContextServicer

from ..agent import GuestAgent
from .context_filesystem import FilesystemCalls
from .context_network import NetworkCalls
from .context_processes import ProcessCalls
from .context_sandbox import SandboxCalls
from .context_statistics import StatisticsCalls


class SandboxContextService(
    FilesystemCalls, ProcessCalls, SandboxCalls, NetworkCalls, StatisticsCalls, SandboxContextServicer
):
    """Answers a host that speaks SandboxContext."""

    def __init__(self, agent: GuestAgent) -> None:
        self._agent = agent
